package cmd

import "github.com/ecospa/ecospa/internal/sysmem"

// available is the machine's memory; tests have others.
var available = sysmem.Available
