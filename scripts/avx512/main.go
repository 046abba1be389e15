//go:build linux

// Command avx512 is two halves of scripts/avx512.sh. As
//
//	avx512 pack ARCHIVE COMMANDS [NAME=FILE ...]
//
// it writes the first file system of a Linux machine: itself as /init, the file COMMANDS, and
// the named files. As the first process of that machine it does what COMMANDS says, a directory and
// a command with its arguments a line, prints how each ended, and switches the machine off.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

func main() {
	if os.Getpid() == 1 {
		boot()
	}
	if len(os.Args) < 4 || os.Args[1] != "pack" {
		fmt.Fprintln(os.Stderr, "usage: avx512 pack ARCHIVE COMMANDS [NAME=FILE ...]")
		os.Exit(2)
	}
	if err := pack(os.Args[2], os.Args[3], os.Args[4:]); err != nil {
		fmt.Fprintln(os.Stderr, "avx512:", err)
		os.Exit(1)
	}
}

// boot is the life of the emulated machine. The shell script reads its lines that begin with "== ".
func boot() {
	for _, m := range [][2]string{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		if err := syscall.Mount(m[0], m[1], m[0], 0, ""); err != nil {
			fmt.Printf("== mount %s: %v\n", m[1], err)
		}
	}
	flags, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(flags)) {
		if strings.HasPrefix(line, "model name") || strings.HasPrefix(line, "flags") {
			fmt.Print("== cpu ", line)
		}
	}
	commands, err := os.ReadFile("/commands")
	if err != nil {
		fmt.Println("==", err)
	}
	for line := range strings.Lines(string(commands)) {
		if words := strings.Fields(line); len(words) > 1 {
			run(words[0], words[1:])
		}
	}
	fmt.Println("== end")
	syscall.Sync()
	time.Sleep(time.Second) // until the serial line has sent it
	fmt.Println("== cannot switch off:", syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF))
	select {}
}

func run(dir string, words []string) {
	fmt.Println("== run", strings.Join(words, " "))
	c := exec.Command(words[0], words[1:]...)
	c.Dir, c.Stdout, c.Stderr = dir, os.Stdout, os.Stderr
	c.Env = []string{"HOME=/tmp", "TMPDIR=/tmp", "PATH=/bin"}
	if err := c.Run(); err != nil {
		fmt.Printf("== failed %s: %v\n", words[0], err)
		return
	}
	fmt.Println("== passed", words[0])
}
