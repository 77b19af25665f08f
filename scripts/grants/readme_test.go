package main

import (
	"errors"
	"flag"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
)

// readme returns README.md.
func readme(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestReadmeExample has the README show what the example shows.
func TestReadmeExample(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, output, found := strings.Cut(string(example), "// Output:\n")
	output = strings.TrimSuffix(output, "}\n")
	output = strings.ReplaceAll(strings.ReplaceAll(output, "\t// ", "    "), "\t//\n", "\n")
	if !found || !strings.Contains(readme(t), output) {
		t.Errorf("README.md does not show what the example writes:\n%s", output)
	}
}

// TestReadmeCommands has every command in the README be one that the program
// takes, and every command line of the package's documentation too.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^(?:    |//\t)go run ./scripts/grants (.*)$`)
	seen := make(map[string]bool)
	for _, found := range line.FindAllStringSubmatch(readme(t)+string(doc), -1) {
		text, _, _ := strings.Cut(found[1], "     ") // a remark
		text = strings.NewReplacer(" REF", " env:REF", "projects/P/", "projects/p/").Replace(text)
		o, err := parse(strings.Fields(text), io.Discard, noon.AddDate(0, 1, 0))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		seen[o.command] = true
	}
	for name := range commands {
		if !seen[name] {
			t.Errorf("README.md has no command with %s", name)
		}
	}
}

// TestReadmeFlags has the README name every flag.
func TestReadmeFlags(t *testing.T) {
	t.Parallel()
	var help strings.Builder
	if _, err := parse([]string{"-h"}, &help, noon); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	text := readme(t)
	for line := range strings.Lines(help.String()) {
		flagged, ok := strings.CutPrefix(line, "  -") // descriptions are indented by more
		if !ok {
			continue
		}
		name := "-" + strings.Fields(flagged)[0]
		if !strings.Contains(text, "`"+name) && !strings.Contains(text, " "+name+" ") {
			t.Errorf("README.md says nothing of %s", name)
		}
	}
}
