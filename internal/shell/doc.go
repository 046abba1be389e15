// Package shell is what urfave/cli leaves to a program: completion with the values of
// flags and the files that they take, flags behind positional arguments, short forms,
// and one line on standard error for flags that are required and missing.
package shell
