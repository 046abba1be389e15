// Package cmd is the command line: one file a subcommand, all of one shape
// (options, flags, check, run). It alone prints, exits and reads the
// environment. The run functions take plain structs and writers, so that tests
// call them directly.
package cmd
