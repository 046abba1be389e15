// Package units prints numbers as people read them: bytes in binary units, counts
// in decimal ones, durations to the second; tables of them in aligned columns, and
// names as a shell reads them.
package units
