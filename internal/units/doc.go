// Package units prints numbers as people read them: bytes in binary units, counts
// in decimal ones, durations to the second.
package units
