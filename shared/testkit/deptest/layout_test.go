package deptest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// frameworkImport is the import that the buildpack looks for in the root package.
// With it, the generated main serves the functions that the package registered;
// without it, the main calls a Go function named like the target, and the build
// fails.
const frameworkImport = "github.com/GoogleCloudPlatform/functions-framework-go/functions"

// topLevel is the root's content except for dot-files. LICENSE and the pages are there
// because people, pkg.go.dev and code hosts look for them only there.
var topLevel = []string{
	"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md", "cloudbuild.yaml", "functions", "gatepost.go", "go.mod",
	"go.sum", "infra", "scripts", "shared",
}

// layoutFaults returns the reasons why Google's Go buildpack could not build the
// functions from this tree, and the files that do not belong in its root. The
// buildpack reads only the module's root, but every Go file in it, including tests
// and files excluded by a build constraint.
func layoutFaults(files fs.FS) ([]string, error) {
	module, err := modulePath(files)
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, err
	}
	ignored, err := ignoredNames(files)
	if err != nil {
		return nil, err
	}
	var faults, sources []string
	if first, _, _ := strings.Cut(module, "/"); !strings.Contains(first, ".") {
		faults = append(faults, fmt.Sprintf("go.mod: the buildpack refuses module path %s, whose first element has no dot", module))
	}
	for _, entry := range entries {
		name := entry.Name()
		if path.Ext(name) == ".go" {
			sources = append(sources, name)
		}
		if !slices.Contains(topLevel, name) && !strings.HasPrefix(name, ".") && !matches(name, ignored) {
			faults = append(faults, fmt.Sprintf("%s: the root holds only %s and dot-files, so that a reader sees at once where to look", name,
				strings.Join(topLevel, ", ")))
		}
	}
	if len(sources) != 1 {
		return append(faults, fmt.Sprintf("the root has %d Go files %v: the buildpack needs exactly one package there, and a second file, a "+
			"test above all, is how a second one comes in", len(sources), sources)), nil
	}
	sourceFaults, err := rootSourceFaults(files, sources[0])
	return append(faults, sourceFaults...), err
}

// rootSourceFaults checks the root's one Go file.
func rootSourceFaults(files fs.FS, name string) ([]string, error) {
	source, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
	if err != nil {
		return nil, fmt.Errorf("parse the root's Go file: %w", err)
	}
	var faults []string
	if strings.HasSuffix(name, "_test.go") || parsed.Name.Name == "main" || strings.HasSuffix(parsed.Name.Name, "_test") {
		faults = append(faults, fmt.Sprintf("%s: package %s cannot be imported, and the buildpack's generated main imports the root", name,
			parsed.Name.Name))
	}
	if !slices.ContainsFunc(parsed.Imports, func(spec *ast.ImportSpec) bool { return spec.Path.Value == `"`+frameworkImport+`"` }) {
		faults = append(faults, fmt.Sprintf("%s: does not itself import %s, so the buildpack would look for one Go function "+
			"named like the target", name, frameworkImport))
	}
	return faults, nil
}

// ignoredNames returns the patterns of .gitignore that match names: files that a
// test or a build leaves in the root are not part of the tree.
func ignoredNames(files fs.FS) ([]string, error) {
	data, err := fs.ReadFile(files, ".gitignore")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var patterns []string
	for line := range strings.Lines(string(data)) {
		pattern := strings.Trim(strings.TrimSpace(line), "/")
		if pattern != "" && !strings.HasPrefix(pattern, "#") && !strings.Contains(pattern, "/") {
			patterns = append(patterns, pattern)
		}
	}
	return patterns, nil
}

func matches(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		matched, err := path.Match(pattern, name)
		return err == nil && matched
	})
}

func TestLayout(t *testing.T) {
	t.Parallel()
	faults, err := layoutFaults(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults {
		t.Error(fault)
	}
}

func TestLayoutFaults(t *testing.T) {
	t.Parallel()
	const (
		source    = "package m\n\nimport _ \"" + frameworkImport + "\"\n"
		notMine   = "the root holds only"
		sources   = "the root has "
		notImport = "cannot be imported"
	)
	for _, test := range []struct {
		name  string
		files map[string]string // replaces files of a valid tree; an empty text removes one
		want  []string          // parts of the faults, in order
	}{
		{name: "sound tree"},
		{name: "what git ignores", files: map[string]string{".gitignore": "# built\n*.out\n/dist/\n", "cover.out": "x", "dist/x": "x"}},
		{name: "dot-files", files: map[string]string{".ci/run": "x", ".editorconfig": "x"}},
		{name: "no Go file", files: map[string]string{"gatepost.go": ""}, want: []string{sources + "0 Go files"}},
		{name: "test in the root", files: map[string]string{"gatepost_test.go": "package m\n"}, want: []string{notMine, sources + "2 Go files"}},
		{name: "only a test in the root", files: map[string]string{"gatepost.go": "", "m_test.go": source}, want: []string{notMine, notImport}},
		{name: "external test package", files: map[string]string{"gatepost.go": strings.Replace(source, "m", "m_test", 1)},
			want: []string{notImport}},
		{name: "program in the root", files: map[string]string{"gatepost.go": strings.Replace(source, "m", "main", 1)},
			want: []string{notImport}},
		{name: "no framework", files: map[string]string{"gatepost.go": "package m\n"}, want: []string{"does not itself import"}},
		{name: "framework's other package", files: map[string]string{
			"gatepost.go": "package m\n\nimport _ \"github.com/GoogleCloudPlatform/functions-framework-go/funcframework\"\n",
		}, want: []string{"does not itself import"}},
		{name: "module path without a dot", files: map[string]string{"go.mod": "module gatepost/x.y\n"}, want: []string{"no dot"}},
		{name: "stray directory", files: map[string]string{"internal/x": "x"}, want: []string{notMine}},
		{name: "stray file beside other patterns", files: map[string]string{".gitignore": "infra/*.txt\n#x.txt\n", "x.txt": "x"},
			want: []string{notMine}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{
				"go.mod": "module example.com/m\n", "go.sum": "x", "gatepost.go": source, "LICENSE": "x", "README.md": "x",
				"shared/a/a.go": "package a\n", "functions/f.go": "package functions\n", "scripts/check": "x", "infra/main.tf": "x",
			}
			mapped := fstest.MapFS{}
			for _, some := range []map[string]string{files, test.files} {
				for name, text := range some {
					mapped[name] = &fstest.MapFile{Data: []byte(text)}
					if text == "" {
						delete(mapped, name)
					}
				}
			}
			faults, err := layoutFaults(mapped)
			if err != nil {
				t.Fatal(err)
			}
			contains := cmp.Comparer(func(x, y string) bool { return strings.Contains(x, y) || strings.Contains(y, x) })
			expect.Equal(t, "faults", test.want, faults, contains)
		})
	}
}

// lines are the log lines that contain a package's fields.
var lines = map[string][]string{
	"functions":                 {"ready"},
	"functions/acceptgrant":     {"AcceptGrant"},
	"functions/skillevent":      {"SkillEvent"},
	"functions/refreshtokens":   {"RefreshTokens", "RefreshShard"},
	"functions/sendevent":       {"SendEvent"},
	"functions/skillproxy":      {"SkillProxy"},
	"functions/internal/wiring": {"circuit breaker"},
	"shared/access":             {"RefreshShard", "SendEvent"},
	"shared/delivery":           {"SendEvent"},
	"shared/handler":            {"every function"},
	"shared/announce":           {"grant …"},
	"shared/sweep":              {"RefreshTokens", "RefreshShard"},
	"shared/logging":            {"every function"},
}

var (
	constant = regexp.MustCompile(`(?m)^\t(\w+) += "([^"]+)"$`)
	// field matches a field that product code adds to a line: its name, and a
	// suffix.
	field = regexp.MustCompile(`slog\.(?:String|Int|Int64|Bool|Any|Time)\(("[^"]*"|[\w.]+)(\+)?`)
	// note matches a field of the ready line.
	note = regexp.MustCompile(`\.Note\("([^"]*)"`)
	// row matches a row of CONTRACTS.md: name, meaning, lines.
	row = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\| ([^|]+) \\|$")
)

// TestFields: CONTRACTS.md lists exactly the fields of the log lines, and the lines
// they are in.
func TestFields(t *testing.T) {
	t.Parallel()
	constants := make(map[string]string)
	for _, found := range constant.FindAllStringSubmatch(read(t, "shared/logging/logging.go"), -1) {
		constants[found[1]] = found[2]
	}
	found := make(map[string]map[string]bool) // name → lines
	for _, dir := range []string{"functions", "shared"} {
		err := fs.WalkDir(tree, dir, func(file string, _ fs.DirEntry, err error) error {
			if err != nil || path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
				return err
			}
			for _, f := range note.FindAllStringSubmatch(read(t, file), -1) {
				found[f[1]] = map[string]bool{"ready": true}
			}
			for _, f := range field.FindAllStringSubmatch(read(t, file), -1) {
				name, literal := strings.CutPrefix(f[1], `"`)
				name = strings.TrimSuffix(name, `"`)
				if !literal {
					name = constants[strings.TrimPrefix(f[1], "logging.")]
				}
				if f[2] != "" {
					name += "…"
				}
				if name == "" || lines[path.Dir(file)] == nil {
					t.Errorf("%s: unknown name or line of field %s", file, f[1])
				}
				if found[name] == nil {
					found[name] = make(map[string]bool)
				}
				for _, line := range lines[path.Dir(file)] {
					found[name][line] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	delete(found["lwa_ms"], "RefreshShard") // it times only refreshes for an event
	want, got := make(map[string]string), make(map[string]string)
	for name, in := range found {
		want[name] = strings.Join(slices.Sorted(maps.Keys(in)), ", ")
		if in["every function"] {
			want[name] = "every function"
			if in["SkillProxy"] { // not a function of package handler
				want[name] = "every function, SkillProxy"
			}
		}
	}
	for _, r := range row.FindAllStringSubmatch(section(t, "Log fields"), -1) {
		got[r[1]] = r[3]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("CONTRACTS.md and the code differ (-code +page):\n%s", diff)
	}
}

// TestContracts: CONTRACTS.md lists exactly Gatepost's codes and attributes.
func TestContracts(t *testing.T) {
	t.Parallel()
	inCode, onPage := make(map[string]bool), make(map[string]bool)
	const attribute = `"(gatepost-[a-z-]+)"`
	for file, pattern := range map[string]string{"outcome.go": `"([A-Z_]{4,})"`, "message.go": attribute, "deadletter.go": attribute} {
		for _, found := range regexp.MustCompile(pattern).FindAllStringSubmatch(read(t, "shared/delivery/"+file), -1) {
			if !strings.HasSuffix(found[1], "_EXCEPTION") { // the gateway's
				inCode[found[1]] = true
			}
		}
	}
	for _, found := range row.FindAllStringSubmatch(section(t, "Outcomes")+section(t, "Attributes"), -1) {
		if strings.ToUpper(found[1]) == found[1] || strings.HasPrefix(found[1], "gatepost-") {
			onPage[found[1]] = true
		}
	}
	if diff := cmp.Diff(inCode, onPage); diff != "" {
		t.Errorf("CONTRACTS.md and the code differ (-code +page):\n%s", diff)
	}
}

// section returns a section of CONTRACTS.md.
func section(t *testing.T, title string) string {
	t.Helper()
	_, page, _ := strings.Cut(read(t, "functions/CONTRACTS.md"), "## "+title+"\n")
	page, _, _ = strings.Cut(page, "\n## ")
	return page
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := fs.ReadFile(tree, file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
