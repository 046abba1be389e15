package data

import (
	"fmt"
	"testing"
)

func TestJoin(t *testing.T) {
	ids := Join([][]int32{{5, 6, 7}, {8, 9}}, 1)
	if ids.Documents() != 2 || ids.Predicted() != 3 || ids.Checksum() != (Tokens{^5, 6, 7, ^8, 9}).Checksum() {
		t.Errorf("%d documents, %d predicted of %v", ids.Documents(), ids.Predicted(), ids.IDs(0, len(ids)))
	}
	if got := Join([][]int32{{5, 6, 7}}, 2); got.Predicted() != 1 {
		t.Errorf("%d predicted behind two that are given", got.Predicted())
	}
	b, err := NewBatches(ids, 1, 8, Cursor{})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := b.Next()
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(batch.IDs[:3], batch.Targets[:3]); got != "[5 6 8] [6 7 9]" {
		t.Errorf("a batch of %s", got)
	}
}
