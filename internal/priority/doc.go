// Package priority lowers the process's claim on the processor, as nice(1) does.
package priority
