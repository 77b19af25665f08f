package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestReadme has the README show what bench cost writes, and name every command
// and flag that there is. The figures of the other commands are the machine's.
func TestReadme(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(data)
	status, stdout, stderr := bench(t, "cost")
	if status != exitOK || !strings.Contains(readme, indent(stdout)) {
		t.Errorf("README.md does not show what bench cost writes (status %d, %s):\n%s", status, stderr, indent(stdout))
	}
	flagged := regexp.MustCompile(`(?m)^  -(\S+)`) // descriptions are indented by more
	for name := range commands {
		if !strings.Contains(readme, "go run ./scripts/bench "+name) {
			t.Errorf("README.md says nothing of the command %s", name)
		}
		_, _, help := bench(t, name, "-h")
		for _, match := range flagged.FindAllStringSubmatch(help, -1) {
			if !strings.Contains(readme, "`-"+match[1]+"`") {
				t.Errorf("README.md says nothing of -%s of %s", match[1], name)
			}
		}
	}
}

// indent writes text as Markdown shows it unchanged.
func indent(text string) string {
	var indented strings.Builder
	for line := range strings.Lines(text) {
		if line != "\n" {
			line = "    " + line
		}
		indented.WriteString(line)
	}
	return indented.String()
}
