package main

import (
	"fmt"
	"slices"
	"strings"
)

// function starts a function with Go's signature; its stub goes to the Go file.
func (c *code) function(name, signature, doc string) {
	c.name = name + "128"
	c.free = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 19, 20, 21, 22, 23, 24, 25}
	c.next = 0
	c.args, c.size = parse(signature)
	if !c.noStubs {
		fmt.Fprintf(&c.stubs, "\n// %s %s\n//\n//go:noescape\nfunc %s%s\n", c.name, doc, c.name, signature)
	}
}

// parse gives the places of parameters and results in the frame.
func parse(signature string) (args []arg, size int) {
	for i, part := range strings.SplitN(strings.Trim(strings.ReplaceAll(signature, ") (", "|"), "()"), "|", 2) {
		if i == 1 {
			size = (size + 7) / 8 * 8 // results begin at a word
		}
		var names []string
		for _, f := range strings.Split(part, ", ") {
			name, kind, typed := strings.Cut(f, " ")
			names = append(names, name)
			if !typed {
				continue
			}
			for _, n := range names {
				width, step := 8, 8
				switch {
				case strings.HasPrefix(kind, "[]"):
					width = 24
				case strings.HasSuffix(kind, "32") && !strings.HasPrefix(kind, "*"):
					width, step = 4, 4
				}
				size = (size + step - 1) / step * step
				args = append(args, arg{n, kind, size})
				size += width
			}
			names = nil
		}
	}
	return args, size
}

func (c *code) arg(name string) arg {
	i := slices.IndexFunc(c.args, func(a arg) bool { return a.name == name })
	if i < 0 {
		panic(c.name + " has no " + name)
	}
	return c.args[i]
}

// gp takes a general register.
func (c *code) gp() int {
	if len(c.free) == 0 {
		panic(c.name + " takes too many general registers")
	}
	r := c.free[0]
	c.free = c.free[1:]
	return r
}

func (c *code) give(r ...int) { c.free = append(r, c.free...) }

// pointer loads where a slice begins; length how long it is; word a number of 64 bits.
func (c *code) pointer(name string) int { return c.load64(c.arg(name), "_base", 0) }
func (c *code) length(name string) int  { return c.load64(c.arg(name), "_len", 8) }
func (c *code) number(name string) int  { return c.load64(c.arg(name), "", 0) }

func (c *code) load64(a arg, part string, off int) int {
	r := c.gp()
	c.raw("MOVD %s%s+%d(FP), R%d", a.name, part, a.at+off, r)
	return r
}

// bytes is a number of float32 as one of bytes.
func (c *code) bytes(name string) int {
	r := c.number(name)
	c.raw("LSL $2, R%d, R%d", r, r)
	return r
}

// scalar is a float32 parameter in every lane.
func (c *code) scalar(name string) V {
	a, v, all := c.arg(name), c.new(), c.new()
	c.list = append(c.list, instr{regs: []V{v}, text: func(reg func(V) uint32) string {
		return fmt.Sprintf("\tFMOVS %s+%d(FP), F%d", a.name, a.at, reg(v))
	}})
	c.two("dup", 0x4e040400, all, v)
	return all
}

// result stores lane 0 as a result.
func (c *code) result(name string, v V) {
	a := c.arg(name)
	move := "FMOVS"
	if a.kind == "float64" {
		move = "FMOVD"
	}
	c.list = append(c.list, instr{regs: []V{v}, text: func(reg func(V) uint32) string {
		return fmt.Sprintf("\t%s F%d, %s+%d(FP)", move, reg(v), a.name, a.at)
	}})
}

func (c *code) done() {
	c.raw("RET")
	c.finish()
}
