package bundle

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// hubName is what names of models on the Hugging Face Hub look like, as a link, a
// revision or a bare name too.
var hubName = regexp.MustCompile(`^(?:https://huggingface\.co/|hf://|hf\.co/)?((?:[A-Za-z0-9][A-Za-z0-9._-]*/)?[A-Za-z0-9][A-Za-z0-9._-]*)(?:/tree/main|@[A-Za-z0-9._-]+)?/?$`)

// bareName is what the hub's first models look like, which have no owner.
var bareName = regexp.MustCompile(`^(distil)?(gpt2|bert|roberta)(-[a-z0-9-]+)?$`)

// missing is the error for a path that is not there. Nothing is ever downloaded, so a
// name of the hub is answered with what to type.
func missing(path string, err error) error {
	if path == "" {
		return errors.New("the name of the model is empty")
	}
	found := hubName.FindStringSubmatch(path)
	if found == nil || strings.HasSuffix(path, ".gguf") {
		return err
	}
	id := found[1]
	owner, name, ok := strings.Cut(id, "/")
	if !ok {
		name = owner
	}
	if _, here := os.Stat(owner); here == nil || !ok && !bareName.MatchString(id) {
		return err
	}
	return fmt.Errorf("there is no directory %s; if it is a model of the Hugging Face Hub, download it first (hf download %s --local-dir %s) and give %s instead", path, id, name, name)
}
