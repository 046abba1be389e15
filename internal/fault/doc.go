// Package fault says whose fault an error is, so that the command line can
// choose an exit code and another program can tell bad input from a failure.
//
// An error is the caller's configuration (Usage), an input file that is missing,
// damaged or not what it should be (BadInput), or neither. The first mark stays:
// wrapping a marked error keeps what it was.
package fault
