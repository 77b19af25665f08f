// Package examples has the worked examples of device events, for programs that show
// them. The files are documented in README.md.
package examples

import (
	"embed"
	"io/fs"
	"regexp"
	"strings"
	"time"
)

//go:embed *.json
var files embed.FS

// Names returns the names of the examples, in order.
func Names() []string {
	found, _ := fs.Glob(files, "*.json")
	for i, name := range found {
		found[i] = strings.TrimSuffix(name, ".json")
	}
	return found
}

var sampled = regexp.MustCompile(`("timeOfSample":\s*)"[^"]*"`)

// At returns an example whose samples were taken at that time, nil if there is none of
// that name.
func At(name string, at time.Time) []byte {
	text, err := files.ReadFile(name + ".json")
	if err != nil {
		return nil
	}
	return sampled.ReplaceAll(text, []byte(`${1}"`+at.UTC().Format("2006-01-02T15:04:05.000Z")+`"`))
}
