package kernel

// Assembly written by scripts/asm.

// tile512 is the 14 x 32 register tile.
//
//go:noescape
func tile512(t *tile)

// tile256 is the 6 x 16 register tile.
//
//go:noescape
func tile256(t *tile)
