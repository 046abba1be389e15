package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// TestAVX2AssemblyNamesOnlyItsRegisters: a CPU with AVX2 and without AVX-512 has the
// vector registers X0 to X15 and Y0 to Y15, and no mask registers. Naming another one
// assembles and crashes on such a machine.
func TestAVX2AssemblyNamesOnlyItsRegisters(t *testing.T) {
	files, err := filepath.Glob("pkg/kernel/*256_amd64.s")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files (%v), expected those of block, pack, thin, tile and vec", len(files), err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		used := 0
		for i, line := range bytes.Split(text, []byte("\n")) {
			code, _, _ := bytes.Cut(line, []byte("//"))
			for _, r := range vectorRegister.FindAllSubmatch(code, -1) {
				used++
				n, err := strconv.Atoi(string(r[2]))
				if kind := string(r[1]); err != nil || kind == "Z" || kind == "K" || n > 15 {
					t.Errorf("%s:%d names %s%s, which only AVX-512 has", name, i+1, kind, r[2])
				}
			}
		}
		if used == 0 {
			t.Errorf("%s names no vector register: the test does not read it right", name)
		}
	}
}

var vectorRegister = regexp.MustCompile(`\b([XYZK])([0-9]+)\b`)
