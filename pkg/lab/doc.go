// Package lab makes experiments: many runs or prunings with one table of what came out.
//
// Compare prunes a model by several methods, to several sizes, over several seeds.
// Paper makes the rows of a file of experiments: training runs, comparisons and
// timings, with the claims that they are held to. Frontier makes a small model in several
// ways, dense and pruned, with as many operations of training each. A cell is one result, kept in a file
// of its own together with all that it depends on, so that an interrupted experiment
// goes on where it stopped and a changed one makes only what changed. Figures are means
// and spreads over seeds.
package lab
