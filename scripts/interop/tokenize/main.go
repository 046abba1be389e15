// Tokenize encodes and decodes texts for tokenizers.mjs:
//
//	tokenize TOKENIZER [JSON] <texts >ids
//
// Each line of the input is a JSON string, each line of the output an object
// with its ids, what they decode to, whether two threads give the same ids, and what
// the template puts in front of a text and behind it.
// JSON is written with the tokenizer as a tokenizer.json.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/ecospa/ecospa/pkg/tokenizer"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 1 {
		return fmt.Errorf("tokenize TOKENIZER [JSON]")
	}
	t, err := tokenizer.Open(args[0])
	if err != nil {
		return err
	}
	if len(args) > 1 {
		text, err := t.JSON()
		if err != nil {
			return err
		}
		if err := os.WriteFile(args[1], text, 0o644); err != nil {
			return err
		}
	}
	front, back := t.Template()
	out := bufio.NewWriter(os.Stdout)
	enc := json.NewEncoder(out)
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		var text string
		if err := json.Unmarshal(in.Bytes(), &text); err != nil {
			return err
		}
		ids := t.Encode([]int32{}, []byte(text))
		decoded, err := t.Decode(nil, ids)
		if err != nil {
			return err
		}
		same := true
		if b, ok := t.(*tokenizer.Pipeline); ok {
			same = slices.Equal(ids, b.EncodeParallel([]int32{}, []byte(text), 2))
		}
		if err := enc.Encode(map[string]any{"ids": ids, "text": string(decoded), "parallel": same, "front": front, "back": back}); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return err
	}
	return out.Flush()
}
