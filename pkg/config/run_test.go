package config

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestEncodeRoundTrips(t *testing.T) {
	tied := true
	r := Default()
	r.Model.Family, r.Model.Tied, r.Out = "llama", &tied, "runs/x"
	r.Prune.SkipLayers = []int{0, 11}
	text, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := back.Encode()
	if err != nil || string(again) != string(text) {
		t.Errorf("the run file changes on the way (%v):\n%s\n%s", err, text, again)
	}
	if c, err := Changes(r, back); err != nil || len(c) > 0 {
		t.Errorf("changes %v (%v)", c, err)
	}
	back.Optim.LR = 5
	if c, _ := Changes(r, back); !reflect.DeepEqual(c, []Change{{"optim.lr", "0.001", "5"}}) {
		t.Errorf("changes %v, expected optim.lr", c)
	}
}

// TestEveryKeyIsStrict gives every key of the run file a value of a wrong type:
// each is refused by its path.
func TestEveryKeyIsStrict(t *testing.T) {
	var walk func(v reflect.Type, path string)
	n := 0
	walk = func(typ reflect.Type, path string) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if key == noKey {
				continue
			}
			if key == "" {
				t.Errorf("%s.%s has no yaml key", path, f.Name)
				continue
			}
			at := join(path, key)
			if f.Type.Kind() == reflect.Struct {
				walk(f.Type, at)
				if _, err := Parse(nil, []string{at + "=[1]"}); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), at) {
					t.Errorf("%s takes a list: %v", at, err)
				}
				continue
			}
			n++
			wrong := "{a: 1}"
			if f.Type.Kind() == reflect.Map {
				wrong = "[1]"
			}
			text := wrong
			parts := strings.Split(at, ".")
			for i := len(parts) - 1; i >= 0; i-- {
				text = "{" + parts[i] + ": " + text + "}"
			}
			if _, err := Parse([]byte(text), nil); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), at) {
				t.Errorf("%s takes %s: %v", at, wrong, err)
			}
			if _, err := Parse(nil, []string{at + "x=1"}); !errors.Is(err, ErrConfig) {
				t.Errorf("%sx is accepted", at)
			}
		}
	}
	walk(reflect.TypeOf(Run{}), "")
	if n < 60 {
		t.Errorf("only %d keys were tried", n)
	}
}

func TestYAMLBombsAreRefused(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nout: *b\n"
	for name, text := range map[string]string{
		"aliases": bomb, "alias": "out: &x a\ndata: *x\n", "documents": "out: a\n---\nout: b\n", "size": strings.Repeat("#", maxFile+1),
		"deep": strings.Repeat("[", 20000),
	} {
		if _, err := Parse([]byte(text), nil); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("train: {steps: 3}\nprune: {kinds: [qk]}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, err := Parse(text, nil); err == nil {
			_ = r.Validate()
		}
	})
}

// TestLoadEndlessFile: a file without end is refused like one that is too long.
func TestLoadEndlessFile(t *testing.T) {
	if _, err := os.Stat("/dev/zero"); err != nil {
		t.Skip("SKIPPED: the system has no /dev/zero")
	}
	if _, err := Load("/dev/zero", nil); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "at most") {
		t.Errorf("error %v", err)
	}
}
