// Package progress shows how far long work is: a bar on a terminal, plain lines where
// output goes to a file or a journal.
package progress
