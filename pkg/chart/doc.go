// Package chart draws the few kinds of figure that this project prints: lines
// with a spread, and distributions side by side. A figure is plain data; where
// it is written to decides the format.
package chart
