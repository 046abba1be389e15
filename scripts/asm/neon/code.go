package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
)

// V is a vector register before one of the 32 is chosen for it.
type V int

// instr is one line of a function: an instruction, or the beginning or end of a loop.
type instr struct {
	text func(reg func(V) uint32) string
	regs []V // vector registers that it reads or writes
	loop int // 1 begins a loop, -1 ends it
}

// code collects the functions of a file.
type code struct {
	out     bytes.Buffer
	stubs   bytes.Buffer
	table   string // symbol of the constants
	consts  []uint32
	list    []instr
	next    V
	free    []int // general registers
	name    string
	uses    bool // of constants
	args    []arg
	size    int
	noStubs bool
}

// arg is a parameter or result, and where it lies.
type arg struct {
	name, kind string
	at         int
}

// raw adds a line in the assembler's own words.
func (c *code) raw(format string, a ...any) {
	s := fmt.Sprintf(format, a...)
	c.list = append(c.list, instr{text: func(func(V) uint32) string { return "\t" + s }})
}

func (c *code) label(name string) {
	c.list = append(c.list, instr{text: func(func(V) uint32) string { return name + ":" }})
}

// word adds an instruction that the assembler has no name for, or none for its vectors:
// its code with the registers' numbers where shifts says, lowest bit first.
func (c *code) word(what string, op uint32, shifts []int, regs ...V) {
	c.list = append(c.list, instr{regs: regs, text: func(reg func(V) uint32) string {
		w, says := op, what
		for i, r := range regs {
			w |= reg(r) << shifts[i]
			says += fmt.Sprintf(" v%d", reg(r))
		}
		return fmt.Sprintf("\tWORD $0x%08x // %s", w, says)
	}})
}

// three is an instruction d, n, m, the form of most.
func (c *code) three(what string, op uint32, d, n, m V) { c.word(what, op, []int{0, 5, 16}, d, n, m) }
func (c *code) two(what string, op uint32, d, n V)      { c.word(what, op, []int{0, 5}, d, n) }

// fmlaLane is d += n times a lane of m.
func (c *code) fmlaLane(d, n, m V, lane int) {
	c.word(fmt.Sprintf("fmla[%d]", lane), 0x4f801000|uint32(lane&1)<<21|uint32(lane>>1)<<11, []int{0, 5, 16}, d, n, m)
}

// access is a load or store of some bytes, at an offset that is a multiple of them.
type access struct {
	what string
	op   uint32
	size int
}

var (
	loadQ, loadD, loadS, loadH = access{"ldr q", 0x3dc00000, 16}, access{"ldr d", 0xfd400000, 8}, access{"ldr s", 0xbd400000, 4}, access{"ldr h", 0x7d400000, 2}
	saveQ, saveS               = access{"str q", 0x3d800000, 16}, access{"str s", 0xbd000000, 4}
)

func (c *code) memory(a access, r V, base, off int) {
	if off%a.size != 0 || off < 0 || off/a.size > 4095 {
		panic(fmt.Sprintf("%s: offset %d", a.what, off))
	}
	c.word(fmt.Sprintf("%s [R%d, #%d]", a.what, base, off), a.op|uint32(off/a.size)<<10|uint32(base)<<5, []int{0}, r)
}

func (c *code) new() V { c.next++; return c.next }

func (c *code) begin() { c.list = append(c.list, instr{loop: 1}) }
func (c *code) end()   { c.list = append(c.list, instr{loop: -1}) }

// allocate chooses registers: a value lives from its first line to its last, and one from
// before a loop that is used in it to the loop's end.
func (c *code) allocate() map[V]uint32 {
	type life struct {
		v           V
		first, last int
	}
	of := map[V]*life{}
	var lives []*life
	for i, in := range c.list {
		for _, v := range in.regs {
			if of[v] == nil {
				of[v] = &life{v, i, i}
				lives = append(lives, of[v])
			}
			of[v].last = i
		}
	}
	var open []int
	for i, in := range c.list { // inner loops end first
		switch in.loop {
		case 1:
			open = append(open, i)
		case -1:
			start := open[len(open)-1]
			open = open[:len(open)-1]
			for _, l := range lives {
				if l.first < start && l.last > start && l.last < i {
					l.last = i
				}
			}
		}
	}
	slices.SortStableFunc(lives, func(a, b *life) int { return cmp.Compare(a.first, b.first) })
	var busy [32]int // the last line of what a register holds
	for i := range busy {
		busy[i] = -1
	}
	reg := map[V]uint32{}
	for _, l := range lives {
		r := slices.IndexFunc(busy[:], func(last int) bool { return last <= l.first })
		if r < 0 {
			panic(c.name + " takes more than 32 vectors")
		}
		busy[r] = max(l.last, l.first+1) // what is written and never read still needs a place
		reg[l.v] = uint32(r)
	}
	return reg
}

// finish writes the function that was collected.
func (c *code) finish() {
	reg := c.allocate()
	fmt.Fprintf(&c.out, "\nTEXT ·%s(SB), NOSPLIT, $0-%d\n", c.name, c.size)
	if c.uses {
		fmt.Fprintf(&c.out, "\tMOVD $%s<>(SB), R26\n", c.table)
	}
	for _, in := range c.list {
		if in.text != nil {
			fmt.Fprintln(&c.out, in.text(func(v V) uint32 { return reg[v] }))
		}
	}
	c.list, c.uses = nil, false
}

// constant is the place of four lanes of one pattern behind R26.
func (c *code) constant(bits uint32) int {
	return c.lanes([4]uint32{bits, bits, bits, bits})
}

// lanes is the place of a vector behind R26.
func (c *code) lanes(v [4]uint32) int {
	c.uses = true
	for i := 0; i < len(c.consts); i += 4 {
		if [4]uint32(c.consts[i:]) == v {
			return 4 * i
		}
	}
	c.consts = append(c.consts, v[:]...)
	return 4 * (len(c.consts) - 4)
}

// data writes the constants.
func (c *code) data() {
	if len(c.consts) == 0 {
		return
	}
	fmt.Fprintln(&c.out)
	for i := 0; i < len(c.consts); i += 2 {
		fmt.Fprintf(&c.out, "DATA %s<>+%d(SB)/8, $0x%08x%08x\n", c.table, 4*i, c.consts[i+1], c.consts[i])
	}
	fmt.Fprintf(&c.out, "GLOBL %s<>(SB), RODATA|NOPTR, $%d\n", c.table, 4*len(c.consts))
}
