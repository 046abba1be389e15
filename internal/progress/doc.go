// Package progress shows how far long work is: one line that is drawn again and again on
// a terminal, lines with the time where output goes to a file or a journal. Display draws;
// Work is work in phases, with its rate and what is left; Training is the steps of a run.
package progress
