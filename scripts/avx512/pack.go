//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// archive writes the "newc" format of cpio, which Linux unpacks as its first file system
// (Documentation/driver-api/early-userspace/buffer-format.rst).
type archive struct {
	w     *bufio.Writer
	nodes int
	have  map[string]bool // directories
}

// pack writes an archive of this program, the commands and files, each NAME=FILE, where FILE may be
// a directory.
func pack(to, commands string, files []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer f.Close()
	a := &archive{w: bufio.NewWriterSize(f, 1<<20), have: map[string]bool{".": true}}
	for _, dir := range []string{"proc", "sys", "dev", "tmp"} {
		a.dir(dir)
	}
	a.node("dev/console", 0o020600, [2]int{5, 1}, nil) // Go's runtime wants standard files that are open
	a.node("dev/null", 0o020666, [2]int{1, 3}, nil)
	for _, file := range append([]string{"init=" + self, "commands=" + commands}, files...) {
		name, from, found := strings.Cut(file, "=")
		if !found {
			return fmt.Errorf("%q: expected NAME=FILE", file)
		}
		if err := a.tree(name, from); err != nil {
			return err
		}
	}
	a.node("TRAILER!!!", 0, [2]int{}, nil)
	if err := a.w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// tree adds a file, or all below a directory, under a name.
func (a *archive) tree(name, from string) error {
	return filepath.WalkDir(from, func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		below, err := filepath.Rel(from, at)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		to := path.Join(name, filepath.ToSlash(below))
		a.dir(path.Dir(to))
		a.node(to, 0o100755, [2]int{}, data)
		return nil
	})
}

// dir adds a directory and those above it.
func (a *archive) dir(name string) {
	if !a.have[name] {
		a.have[name] = true
		a.dir(path.Dir(name))
		a.node(name, 0o040755, [2]int{}, nil)
	}
}

// node adds one entry: a header of numbers in hexadecimal, the name and the data, each filled up to
// a multiple of four bytes. The writer keeps its first error for Flush.
func (a *archive) node(name string, mode int, device [2]int, data []byte) {
	a.nodes++
	fmt.Fprintf(a.w, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", a.nodes, mode, 0, 0, 1, 0, len(data), 0, 0, device[0], device[1], len(name)+1, 0)
	a.w.WriteString(name + strings.Repeat("\x00", 4-(110+len(name))%4))
	a.w.Write(data)
	a.w.WriteString(strings.Repeat("\x00", -len(data)&3))
}
