package fault

import (
	"errors"
	"fmt"
	"testing"
)

func TestTheFirstMarkStays(t *testing.T) {
	base := errors.New("no such key")
	err := fmt.Errorf("run.yaml: %w", Usage(base))
	if Of(BadInput(err)) != Config || !errors.Is(BadInput(err), base) {
		t.Errorf("an error marked twice is %v, expected the first mark", Of(BadInput(err)))
	}
	if Of(BadInput(base)) != Input || Of(base) != Failure || Of(nil) != Failure || Usage(nil) != nil {
		t.Error("an unmarked error is a failure, and no error stays none")
	}
}
