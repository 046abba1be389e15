package cmd

import "io"

// output is standard output that remembers why it could not be written: commands print
// without looking, and the first error becomes theirs.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.Writer.Write(p)
	o.err = err
	return n, err
}
