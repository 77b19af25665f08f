package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestModuleTables compares the tables in the README of each module with its variables
// and outputs. With -update it writes them, below the README's own text.
func TestModuleTables(t *testing.T) {
	t.Parallel()
	modules, err := filepath.Glob("../../../infra/modules/*")
	if err != nil || len(modules) == 0 {
		t.Fatalf("modules = %v, error = %v", modules, err)
	}
	for _, module := range modules {
		page := filepath.Join(module, "README.md")
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		own, _, _ := strings.Cut(string(data), "\n## Variables\n")
		want := own + "\n## Variables\n\n" + table(t, module, "variable") + "\n## Outputs\n\n" + table(t, module, "output")
		if *update {
			if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if diff := cmp.Diff(want, string(data)); diff != "" {
			t.Errorf("%s is stale: go test ./scripts/internal/deploy -run TestModuleTables -update (-want +got):\n%s", page, diff)
		}
	}
}

// blocks finds the variables and outputs in a file that terraform fmt has formatted,
// and arguments one argument of a block: its name, and its value up to the next one.
var (
	blocks    = regexp.MustCompile(`(?ms)^(variable|output) "(\w+)" \{\n(.*?)^\}\n`)
	arguments = regexp.MustCompile(`(?m)^  (description|type|default|nullable|value|validation|precondition)\b *(=|\{) *`)
)

// table returns the table of a module's variables or outputs.
func table(t *testing.T, module, kind string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(module, "*.tf"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range blocks.FindAllStringSubmatch(string(data), -1) {
			if block[1] != kind {
				continue
			}
			given := map[string]string{}
			places := arguments.FindAllStringSubmatchIndex(block[3], -1)
			for i, place := range places {
				end := len(block[3])
				if i+1 < len(places) {
					end = places[i+1][0]
				}
				given[block[3][place[2]:place[3]]] = strings.TrimSpace(block[3][place[1]:end])
			}
			row := fmt.Sprintf("| `%s` | %s |", block[2], prose(given["description"]))
			if kind == "variable" {
				fallback := "required"
				if given["default"] != "" {
					fallback = "`" + given["default"] + "`"
				}
				row += fmt.Sprintf(" `%s` | %s |", oneLine(given["type"]), fallback)
			}
			rows = append(rows, row+"\n")
		}
	}
	slices.Sort(rows)
	head := "| name | description |\n|---|---|\n"
	if kind == "variable" {
		head = "| name | description | type | default |\n|---|---|---|---|\n"
	}
	return head + strings.Join(rows, "")
}

// prose returns a description, quoted or a heredoc. A heredoc's list of attributes
// stays a list.
func prose(description string) string {
	lines, ok := strings.CutPrefix(description, "<<-EOT\n")
	if !ok {
		return strings.ReplaceAll(strings.Trim(description, `"`), `\"`, `"`)
	}
	lines = strings.TrimSuffix(strings.TrimRight(lines, " \n"), "EOT")
	attribute := regexp.MustCompile(`\n {6}(\w+) {2,}`)
	lines = attribute.ReplaceAllString("\n"+strings.TrimRight(lines, " \n"), "<br>• `$1` ")
	return oneLine(lines)
}

// oneLine returns a text without line breaks, and the type of an object with commas.
func oneLine(text string) string {
	text = regexp.MustCompile(`([^{,(\s])\n +(\w+ += )`).ReplaceAllString(text, "$1, $2")
	text = strings.Join(strings.Fields(text), " ")
	return strings.NewReplacer("({ ", "({", " })", "})").Replace(text)
}
