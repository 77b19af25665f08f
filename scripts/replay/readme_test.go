package main

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
)

// TestReadme has the README show what the example shows, and name every flag
// that there is.
func TestReadme(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, output, found := strings.Cut(string(example), "// Output:\n")
	output = strings.TrimSuffix(strings.ReplaceAll(output, "\t// ", "    "), "}\n")
	if !found || !strings.Contains(string(data), output) {
		t.Errorf("README.md does not show what the example writes:\n%s", output)
	}
	var help strings.Builder
	if _, err := parse([]string{"-h"}, &help, noon); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for line := range strings.Lines(help.String()) {
		flagged, ok := strings.CutPrefix(line, "  -") // descriptions are indented by more
		if !ok {
			continue
		}
		name := "-" + strings.Fields(flagged)[0]
		if !strings.Contains(string(data), "`"+name) && !strings.Contains(string(data), " "+name+" ") {
			t.Errorf("README.md says nothing of %s", name)
		}
	}
}
