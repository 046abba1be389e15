package config

import (
	"slices"
	"strings"
	"testing"
)

// TestKeysAreKeys: every key that completion offers is one that an override may name, and
// keys of every section are there.
func TestKeysAreKeys(t *testing.T) {
	keys := Keys()
	for _, k := range []string{"train.steps=", "model.family=llama", "optim.name=muon", "prune.target=", "checkpoint.keep_last=", "out="} {
		if !slices.Contains(keys, k) {
			t.Errorf("no %s among %d keys", k, len(keys))
		}
	}
	for _, k := range keys {
		_, err := Parse(nil, []string{k})
		if err != nil && strings.Contains(err.Error(), "unknown key") {
			t.Errorf("%s: %v", k, err)
		}
	}
}
