package fault

import "errors"

// Kind is whose fault an error is.
type Kind int

const (
	Failure Kind = iota // neither of the others
	Config              // a flag, a configuration key, a budget that cannot be met
	Input               // a file that is missing, damaged or not what it should be
)

// marked is an error with its kind.
type marked struct {
	error
	kind Kind
}

func (m marked) Unwrap() error { return m.error }

// Usage marks an error as the caller's configuration.
func Usage(err error) error { return mark(err, Config) }

// BadInput marks an error as that of an input file.
func BadInput(err error) error { return mark(err, Input) }

// mark gives err a kind unless it has one already.
func mark(err error, kind Kind) error {
	var m marked
	if err == nil || errors.As(err, &m) {
		return err
	}
	return marked{err, kind}
}

// Of is the kind of an error: Failure when it was not marked.
func Of(err error) Kind {
	var m marked
	if errors.As(err, &m) {
		return m.kind
	}
	return Failure
}
