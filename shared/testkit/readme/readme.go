// Package readme checks a page against the tests of its package: the output of
// commands, their flags, and programs.
//
//	page := readme.Open(t, "README.md")
//	page.Shows(readme.Output(t, "example_test.go"))
//	page.NamesFlags(help)
package readme

import (
	"os"
	"strings"
	"testing"
)

// Page is the text of a page. A missing part fails the test.
type Page struct {
	Text string
	t    *testing.T
	path string
}

// Open reads a page.
func Open(t *testing.T, path string) Page {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return Page{string(text), t, path}
}

// Shows checks that the page contains a text.
func (p Page) Shows(text string) {
	p.t.Helper()
	if !strings.Contains(p.Text, text) {
		p.t.Errorf("%s does not contain:\n%s", p.path, text)
	}
}

// ShowsFile checks that the page contains a file in a block of a language.
func (p Page) ShowsFile(path, language string) {
	p.t.Helper()
	p.Shows("```" + language + "\n" + Open(p.t, path).Text + "```\n")
}

// Names checks that the page has each word in backquotes.
func (p Page) Names(words ...string) {
	p.t.Helper()
	for _, word := range words {
		if !strings.Contains(p.Text, "`"+word+"`") {
			p.t.Errorf("%s does not name %s", p.path, word)
		}
	}
}

// NamesFlags checks that the page names each flag in the help of package flag.
func (p Page) NamesFlags(help string) {
	p.t.Helper()
	for line := range strings.Lines(help) {
		flagged, ok := strings.CutPrefix(line, "  -") // descriptions are indented more
		if !ok {
			continue
		}
		name := "-" + strings.Fields(flagged)[0]
		if !strings.Contains(p.Text, "`"+name) && !strings.Contains(p.Text, " "+name+" ") {
			p.t.Errorf("%s does not name %s", p.path, name)
		}
	}
}

// Output returns the output of a file's first example, indented by four spaces as
// on a page.
func Output(t *testing.T, path string) string {
	t.Helper()
	_, output, found := strings.Cut(Open(t, path).Text, "// Output:\n")
	if !found {
		t.Fatalf("%s has no example with output", path)
	}
	output, _, _ = strings.Cut(output, "}\n")
	return strings.ReplaceAll(strings.ReplaceAll(output, "\t// ", "    "), "\t//\n", "\n")
}
