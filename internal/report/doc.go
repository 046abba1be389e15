// Package report shows what training runs did, on one page.
//
// A Run is what a run directory says about itself: its metrics, its pruning
// plans, its configuration and its summary. Facts are the figures that come of
// it. A Chart is one plot of one or more runs, as plain data that is drawn either
// into the page or, by Chart.Encode, into an SVG or PNG file. The page is one HTML
// file without scripts and without anything to fetch.
//
// Run directories may come from anywhere: what is read is bounded, and every
// text of theirs is escaped.
package report
