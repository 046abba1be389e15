package config

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// TestRunFileReference holds docs/run-file.md, which is made from the structs of a run
// file, their comments and their defaults; ranges are those that Validate names.
// ECOSPA_UPDATE=1 go test ./pkg/config -run TestRunFileReference writes it anew.
func TestRunFileReference(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Run file\n\nEvery key of the YAML file that `pretrain` and `finetune` take, made from the program. Any of them can be given on the\n" +
		"command line as well: `--set train.steps=500`. Keys that do not exist are errors. `ecospa config show quickstart` prints an example.\n")
	comments := map[string]string{}
	section(t, &b, comments, reflect.ValueOf(Default()), "")
	const page = "../../docs/run-file.md"
	if os.Getenv("ECOSPA_UPDATE") != "" {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		t.Error("docs/run-file.md is not what the structs say; write it anew: ECOSPA_UPDATE=1 go test ./pkg/config -run TestRunFileReference")
	}
}

// section writes the keys of a struct, then those of the sections in it.
func section(t *testing.T, b *strings.Builder, comments map[string]string, v reflect.Value, at string) {
	typ := v.Type()
	fmt.Fprintf(b, "\n## %s\n\n| key | type | default | range | meaning |\n|---|---|---|---|---|\n", name(at))
	for i := range typ.NumField() {
		f := typ.Field(i)
		if keyOf(f) == noKey {
			continue
		}
		if f.Type.Kind() == reflect.Struct {
			continue
		}
		text := fieldComment(t, comments, typ, f.Name)
		if text == "" {
			t.Errorf("%s.%s has no comment", typ, f.Name)
		}
		def := fmt.Sprint(v.Field(i).Interface())
		switch f.Type.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			def = ""
		}
		key := join(at, keyOf(f))
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", key, strings.TrimPrefix(kindName(f.Type), "a "), def, span(key, f.Type), strings.ReplaceAll(text, "|", "\\|"))
	}
	for i := range typ.NumField() {
		if f := typ.Field(i); f.Type.Kind() == reflect.Struct {
			section(t, b, comments, v.Field(i), join(at, keyOf(f)))
		}
	}
}

var expected = regexp.MustCompile(`expected ((?:above )?-?[0-9.e+-]+(?:, [0-9]+)? (?:to (?:below )?[0-9.e+-]+|or more)|a share, 0 to [0-9.]+)`)

// span is the range of a number, by what Validate says of one that is out of it.
func span(key string, t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Float64:
	default:
		return ""
	}
	for _, far := range []string{"-7", "8e12", "8000000000000"} {
		r, err := Parse([]byte(sound), []string{key + "=" + far})
		if err == nil {
			err = r.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), path.Ext("x." + key)[1:]) {
			continue
		}
		if m := expected.FindStringSubmatch(err.Error()); m != nil {
			return m[1]
		}
	}
	return ""
}

// fieldComment is the comment at a field of a struct, from its source.
func fieldComment(t *testing.T, comments map[string]string, typ reflect.Type, name string) string {
	dir := filepath.Join("..", path.Base(typ.PkgPath()))
	if _, read := comments[dir]; !read {
		comments[dir] = "read"
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				s, ok := n.(*ast.TypeSpec)
				if !ok {
					return true
				}
				if st, ok := s.Type.(*ast.StructType); ok {
					for _, field := range st.Fields.List {
						for _, id := range field.Names {
							text := strings.Join(strings.Fields(field.Doc.Text()+" "+field.Comment.Text()), " ")
							comments[dir+"."+s.Name.Name+"."+id.Name] = text
						}
					}
				}
				return true
			})
		}
	}
	return comments[dir+"."+typ.Name()+"."+name]
}
