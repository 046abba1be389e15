// Package sysmem asks the operating system about memory: what the machine and
// this process's control group have (Installed), what is still free (Available),
// and what the process itself holds (Resident).
package sysmem
