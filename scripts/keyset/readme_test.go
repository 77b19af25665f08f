package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReadme runs the README's commands of this program one after the other.
// What it shows below each must be what the command writes, but for the ids of
// keys.
func TestReadme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	shown := newIDs("1111111111", "2222222222")
	ran := 0
	for _, part := range strings.Split(string(readme), "\n    go run ./scripts/keyset ")[1:] {
		line, rest, _ := strings.Cut(part, "\n")
		want := block(strings.TrimPrefix(rest, "\n"))
		args := strings.Fields(shown.real(line))
		got := run(t, dir, args...)
		if diff := cmp.Diff(want, shown.learn(got.stdout)); diff != "" || got.status != exitOK {
			t.Errorf("keyset %s: status %d, %s (-README.md +got):\n%s", line, got.status, got.stderr, diff)
		}
		ran++
	}
	if ran != len(commands) {
		t.Errorf("README.md shows %d commands, want each of the %d once", ran, len(commands))
	}
}

// block is the indented lines with which text begins, less the indentation.
func block(text string) string {
	var lines strings.Builder
	for line := range strings.Lines(text) {
		line, indented := strings.CutPrefix(line, "    ")
		if !indented {
			break
		}
		lines.WriteString(line)
	}
	return lines.String()
}

// ids are the ids of keys that README.md shows, and the real ones.
type ids struct {
	shown []string
	found map[string]string // by the one shown
}

func newIDs(shown ...string) *ids { return &ids{shown, map[string]string{}} }

// real puts the real ids in the place of those shown.
func (i *ids) real(text string) string {
	for shown, found := range i.found {
		text = strings.ReplaceAll(text, shown, found)
	}
	return text
}

var keyLine = regexp.MustCompile(`(?m)^  ([ 0-9]{10})  `)

// learn puts the ids shown in the place of the real ones, which it learns in
// the order of their appearance.
func (i *ids) learn(text string) string {
	for _, match := range keyLine.FindAllStringSubmatch(text, -1) {
		id := strings.TrimSpace(match[1])
		known := false
		for _, found := range i.found {
			known = known || found == id
		}
		if !known {
			i.found[i.shown[len(i.found)]] = id
		}
	}
	for shown, found := range i.found {
		text = strings.ReplaceAll(text, strings.Repeat(" ", 10-len(found))+found+"  ", shown+"  ")
		text = strings.ReplaceAll(text, found, shown)
	}
	return text
}
