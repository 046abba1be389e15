package checkpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// JSON from outside is read key by key: encoding/json by itself takes the last
// of two equal keys and matches keys in any case, so that two programs could
// read two models from one file.

// eachKey calls f with every key of the JSON object that dec stands before; f
// decodes the value. A key that appears twice is an error.
func eachKey(dec *json.Decoder, f func(key string) error) error {
	t, err := dec.Token()
	if err != nil {
		return fmt.Errorf("JSON: %w", err)
	}
	if t != json.Delim('{') {
		return fmt.Errorf("found %s, expected an object", tokenName(t))
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return fmt.Errorf("JSON: %w", err)
		}
		key, ok := t.(string)
		if !ok {
			return fmt.Errorf("found %s, expected a key", tokenName(t))
		}
		if seen[key] {
			return fmt.Errorf("key %s appears twice", quote(key))
		}
		seen[key] = true
		if err := f(key); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("JSON: %w", err)
	}
	return nil
}

// wholeObject is eachKey of a text that holds one object and nothing else.
func wholeObject(text []byte, f func(dec *json.Decoder, key string) error) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	if err := eachKey(dec, func(key string) error { return f(dec, key) }); err != nil {
		return err
	}
	if rest := bytes.TrimSpace(text[dec.InputOffset():]); len(rest) > 0 {
		return fmt.Errorf("%d bytes follow the object", len(rest))
	}
	return nil
}

// eachText calls f with every key of an object of strings, and its value.
func eachText(dec *json.Decoder, f func(key, value string) error) error {
	return eachKey(dec, func(key string) error {
		t, err := dec.Token()
		if err != nil {
			return fmt.Errorf("JSON: %w", err)
		}
		s, ok := t.(string)
		if !ok {
			return fmt.Errorf("%s is %s, expected text", quote(key), tokenName(t))
		}
		return f(key, s)
	})
}

// integers decodes a list of at most limit integers, 0 or more.
func integers(dec *json.Decoder, limit int) ([]int64, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, fmt.Errorf("JSON: %w", err)
	}
	if t != json.Delim('[') {
		return nil, fmt.Errorf("is %s, expected a list", tokenName(t))
	}
	list := []int64{}
	for dec.More() {
		if len(list) == limit {
			return nil, fmt.Errorf("has more than %d numbers", limit)
		}
		var n json.Number
		if err := dec.Decode(&n); err != nil {
			return nil, fmt.Errorf("holds something else than a number: %w", err)
		}
		i, err := strconv.ParseInt(string(n), 10, 64)
		if err != nil || i < 0 {
			return nil, fmt.Errorf("holds %s, expected a whole number, 0 or more", quote(string(n)))
		}
		list = append(list, i)
	}
	_, err = dec.Token()
	return list, err
}

// tokenName is a JSON token for a message.
func tokenName(t json.Token) string {
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return "an object"
		}
		return "a list"
	case string:
		return quote(t)
	case nil:
		return "null"
	}
	return fmt.Sprint(t)
}

// quote is a name from a file for a message: printable, on one line, not endless.
func quote(s string) string {
	if len(s) > 80 {
		s = s[:80] + "..."
	}
	return strconv.Quote(s)
}
