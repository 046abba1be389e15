package data

import "testing"

// all is an encoded text as tokens in memory.
func all(t Encoded, err error) (Tokens, error) {
	if err != nil {
		return nil, err
	}
	out := make(Tokens, t.Len())
	return out, t.Read(out, 0)
}

func packing(t testing.TB, text Encoded, context int) Packing {
	t.Helper()
	p, err := PackingOf(text, context)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
