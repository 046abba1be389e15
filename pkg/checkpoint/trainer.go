package checkpoint

import "fmt"

// TrainerFile is the name of a checkpoint's trainer state.
const TrainerFile = "trainer.json"

// TrainerVersion is that of trainer.json's layout.
const TrainerVersion = 2

// Trainer is what trainer.json says of every training run; what a loop keeps besides
// stands beside these keys.
type Trainer struct {
	Version int    `json:"version"` // TrainerVersion
	Code    string `json:"code"`    // version of the program
	Path    string `json:"path"`    // the kernels' CPU path
	Threads int    `json:"threads"`
	Step    int    `json:"step"`
	Updates int    `json:"updates"` // of the optimizer
	Tokens  int64  `json:"tokens"`  // predicted so far
	Data    uint32 `json:"data"`    // checksum of the training data
}

// Check reports the first value that no run can have, as an ErrFormat.
func (t Trainer) Check() error {
	if t.Version != TrainerVersion {
		return fmt.Errorf("%w: %s: state of version %d, expected %d", ErrFormat, TrainerFile, t.Version, TrainerVersion)
	}
	for _, v := range []struct {
		key string
		x   int64
	}{{"step", int64(t.Step)}, {"updates", int64(t.Updates)}, {"tokens", t.Tokens}} {
		if err := CheckCount(v.key, v.x); err != nil {
			return err
		}
	}
	return nil
}

// CheckCount reports a number of trainer.json that counts something and is out of range.
func CheckCount(key string, x int64) error {
	if x < 0 || x > 1<<50 {
		return fmt.Errorf("%w: %s: %s is %d, expected 0 to %d", ErrFormat, TrainerFile, key, x, int64(1)<<50)
	}
	return nil
}
