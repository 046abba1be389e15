// Package dist says what ranks of one training run ask of each other, whatever
// carries it: sums over slabs, a message from one to all, agreement. Package mpi
// carries it between machines; Local between goroutines, for tests.
//
// Every rank makes the same calls in the same order. A result is the same bits on
// every rank.
package dist
