// Package disttest is a group of ranks within one process, for tests.
package disttest
