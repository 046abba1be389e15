// Package prune makes a trained model smaller in one go, or in a few rounds.
//
// A Calibration is sequences of real text. Running them through the model
// gathers Evidence; the part held back, and a small batch in front, measure
// losses of trial cuts. A Job walks one straight line per round: change the
// basis, gather, plan, improve, cut. What each step means is package coupled's.
package prune
