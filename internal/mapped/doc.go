// Package mapped reads files that may be larger than memory: mapped where the system can,
// in chunks elsewhere.
package mapped

import "errors"

// ErrFault is returned by Guard for a mapped file that changes or fails while it is read.
var ErrFault = errors.New("it cannot be read: cut short meanwhile, or a failing disk")

// Unmapped is the same file, read in chunks as on systems that cannot map.
func (m *File) Unmapped() *File { return &File{File: m.File, size: m.size} }

// IsMapped reports whether the file is mapped.
func (m *File) IsMapped() bool { return m.data != nil }
