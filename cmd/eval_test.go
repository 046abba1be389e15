package cmd

import (
	"bytes"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/workload"
)

func TestEvalModes(t *testing.T) {
	tmp := t.TempDir()
	at := func(name string) string { return filepath.Join(tmp, name) }
	mustRun(t, small(at("run"), "train.steps=150")...)
	line := "Anna was a small fox who lived by the river. Her best friend was Tom the bear.\n"
	questions := `{"context":"Anna was a","choices":[" small fox who lived by the river."," zzqx#%& river zzqx#%& river zzqx"],"answer":0}
{"context":"Anna was a small fox who lived by the","choices":["QQ!! ~~ ^^ || zz!! ~~ ^^ ||"," river. Her best friend was"],"answer":" river. Her best friend was"}
`
	for name, text := range map[string]string{"text.txt": strings.Repeat(line, 60), "q.jsonl": questions, "bad.jsonl": "{}"} {
		if err := os.WriteFile(at(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	eval := func(args ...string) []string {
		return append([]string{"ecospa", "eval", "--model", at("run")}, args...)
	}
	read := func(r any, args ...string) {
		t.Helper()
		out, _ := mustRun(t, append(args, "--json")...)
		d := json.NewDecoder(strings.NewReader(out))
		d.DisallowUnknownFields()
		if err := d.Decode(r); err != nil || d.More() {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}

	var whole, part workload.TextResult
	read(&whole, eval("--data", at("text.txt"))...)
	read(&part, eval("--data", at("text.txt"), "--limit", "20")...)
	if whole.BitsPerB == nil || *whole.BitsPerB <= 0 || whole.Bytes == nil || *whole.Bytes != 60*len(line) || part.BitsPerB != nil || part.Bytes == nil {
		t.Errorf("all of it %+v, 20 tokens of it %+v", whole, part)
	}

	var c workload.Choices
	read(&c, eval("--choices", at("q.jsonl"))...)
	if c.Questions != 2 || c.Accuracy != 1 || c.PerToken != 1 || c.PerCharacter != 1 || c.Chance != 0.5 {
		t.Errorf("the questions: %+v", c)
	}
	var i prune.Importance
	read(&i, eval("--data", at("text.txt"), "--importance", "--plot", at("i.png"))...)
	if len(i.Rows) != 2*4 || i.Rows[0].Median <= 0 || i.Rows[0].Max < i.Rows[0].P90 {
		t.Errorf("importance: %+v", i)
	}
	var s prune.Sensitivities
	read(&s, eval("--data", at("text.txt"), "--sensitivity", "--plot", at("s.svg"))...)
	if len(s.Kinds) != 3 || len(s.Kinds[2].Loss) != 10 || s.Kinds[2].Loss[9] <= s.Kinds[2].Loss[0] {
		t.Errorf("sensitivity: %+v", s)
	}
	picture, err := os.ReadFile(at("i.png"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(picture)); err != nil {
		t.Error(err)
	}

	refused(t, []bad{
		{"neither", eval(), 2, []string{"--data", "--choices"}},
		{"both", eval("--data", at("text.txt"), "--choices", at("q.jsonl")), 2, []string{"--choices"}},
		{"limit of choices", eval("--choices", at("q.jsonl"), "--limit", "3"), 2, []string{"--limit"}},
		{"criterion alone", eval("--data", at("text.txt"), "--criterion", "taylor"), 2, []string{"--criterion", "--importance"}},
		{"criterion", eval("--data", at("text.txt"), "--importance", "--criterion", "wish"), 2, []string{"wish", "taylor"}},
		{"two at once", eval("--data", at("text.txt"), "--importance", "--sensitivity"), 2, []string{"one at a time"}},
		{"plot's name", eval("--data", at("text.txt"), "--importance", "--plot", at("x.gif")), 2, []string{"x.gif", ".svg"}},
		{"plot is there", eval("--data", at("text.txt"), "--importance", "--plot", at("i.png")), 2, []string{"--force"}},
		{"no questions", eval("--choices", at("bad.jsonl")), 3, []string{"bad.jsonl", "line 1", "context"}},
	})
}
