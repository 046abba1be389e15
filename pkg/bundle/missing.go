package bundle

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// hubName is what names of models on the Hugging Face Hub look like.
var hubName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$`)

// missing is the error for a path that is not there. Nothing is ever downloaded, so a
// name of the hub is answered with what to type.
func missing(path string, err error) error {
	owner, name, _ := strings.Cut(path, "/")
	if _, here := os.Stat(owner); here == nil || !hubName.MatchString(path) {
		return err
	}
	return fmt.Errorf("there is no directory %s; if it is a model of the Hugging Face Hub, download it first (hf download %s --local-dir %s) and give %s instead", path, path, name, name)
}
