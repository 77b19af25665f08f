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

// TestVariablesArePassed checks that a module that calls another passes on each variable
// that both have, and uses all of its own. Terraform would take the default.
func TestVariablesArePassed(t *testing.T) {
	t.Parallel()
	transformed := []string{"kms_keys", "project_id", "regions"} // passed on in another form
	for module, called := range map[string][]string{
		"": {"modules/google", "modules/aws"}, "modules/google": {"modules/stack", "modules/observability"},
		"modules/aws": {"modules/skill-proxy"}, "modules/stack": nil, "modules/observability": nil, "modules/skill-proxy": nil,
	} {
		text, names := declared(t, module)
		for _, name := range names {
			if !regexp.MustCompile(`var\.` + name + `\b`).MatchString(text) {
				t.Errorf("%s: variable %s is not used", module, name)
			}
		}
		for _, callee := range called {
			_, wanted := declared(t, callee)
			call := regexp.MustCompile(`(?ms)^module "\w+" \{\n  source += "\S*/` + filepath.Base(callee) + `"\n.*?^\}`)
			calls := call.FindAllString(text, -1)
			if len(calls) == 0 {
				t.Errorf("%s: %s is not called", module, callee)
			}
			for _, name := range wanted {
				if !slices.Contains(names, name) || slices.Contains(transformed, name) {
					continue
				}
				passed := regexp.MustCompile(`(?m)^ +` + name + ` += var\.` + name + `$`)
				if slices.ContainsFunc(calls, func(call string) bool { return !passed.MatchString(call) }) {
					t.Errorf("%s: variable %s is not passed to %s", module, name, callee)
				}
			}
		}
	}
}

// declared returns a module's text without its variables, and their names.
func declared(t *testing.T, module string) (text string, names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../../../infra", module, "*.tf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files of %s = %v, error = %v", module, files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text += blocks.ReplaceAllStringFunc(string(data), func(block string) string {
			found := blocks.FindStringSubmatch(block)
			if found[1] != "variable" {
				return block
			}
			names = append(names, found[2])
			return ""
		})
	}
	return text, names
}
