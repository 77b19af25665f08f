package deptest

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

func TestImports(t *testing.T) {
	t.Parallel()
	g, err := load(tree)
	if err != nil {
		t.Fatal(err)
	}
	if len(g["./shared/alexa"]) == 0 {
		t.Error("no import of shared/alexa was found: the tree is empty")
	}
	for _, v := range violations(g) {
		t.Error(v)
	}
}

func TestViolations(t *testing.T) {
	t.Parallel()
	const framework = "github.com/GoogleCloudPlatform/functions-framework-go/functions"
	for _, test := range []struct {
		name    string
		imports []string // "importer imported"
		want    []string // names of the broken rules
	}{
		{name: "nothing"},
		{name: "all that is allowed", imports: []string{
			". ./functions", ". " + framework, "./functions " + framework, "./shared/handler " + framework + "/funcframework",
			"./functions ./functions/sendevent", "./functions/sendevent ./functions/internal/wiring",
			"./functions/sendevent ./functions/sendevent/internal/x",
			"./functions/internal/wiring ./shared/grant/grantfire", "./functions/sendevent ./shared/delivery",
			"./shared/delivery ./shared/access", "./shared/sweep ./shared/access",
			"./shared/access ./shared/lwa", "./shared/access ./shared/seal", "./shared/seal ./shared/grant", "./shared/lwa ./shared/alexa",
			"./shared/lwa ./shared/sensitive", "./shared/alexa ./shared/sensitive", "./shared/alexa encoding/json", "./shared/sensitive log/slog",
			"./shared/grant/grantfire cloud.google.com/go/firestore", "./shared/grant/grantfire google.golang.org/grpc/codes",
			"./functions/internal/wiring cloud.google.com/go/pubsub/v2", "./shared/secret cloud.google.com/go/secretmanager/apiv1",
			"./shared/testkit/cloud google.golang.org/api/option", "./shared/testkit/granttest ./shared/simulator",
			"./scripts/internal/local ./shared/simulator", "./scripts/internal/local .",
			"./scripts/internal/local cloud.google.com/go/pubsub/v2/pstest",
			"./shared/gateway github.com/google/uuid", "./shared/logging ./shared/delivery",
			"./functions/skillproxy github.com/aws/aws-lambda-go/lambda", "./functions/skillproxy ./shared/federation",
			"./shared/federation golang.org/x/oauth2",
		}},
		{name: "up to a function", imports: []string{"./shared/delivery ./functions/sendevent"}, want: []string{"downward", "shared"}},
		{name: "up to the root", imports: []string{"./functions/sendevent ."}, want: []string{"downward"}},
		{name: "up to a script", imports: []string{"./functions ./scripts/internal/local"}, want: []string{"downward"}},
		{name: "up one layer", imports: []string{"./shared/lwa ./shared/delivery"}, want: []string{"downward"}},
		{name: "up to what sweeps", imports: []string{"./shared/access ./shared/sweep"}, want: []string{"downward"}},
		{name: "up from below a layer's package", imports: []string{"./shared/grant/grantmem ./shared/access"}, want: []string{"downward"}},
		{name: "up from sensitive", imports: []string{"./shared/sensitive ./shared/alexa"}, want: []string{"downward"}},
		{name: "up through others", imports: []string{
			"./shared/gateway ./shared/transport", "./shared/transport ./shared/logging", "./shared/logging ./shared/delivery",
		}, want: []string{"downward"}},
		{name: "to functions from a package of no layer", imports: []string{"./shared/config ./functions"}, want: []string{"shared"}},
		{name: "function to function", imports: []string{"./functions/sendevent ./functions/acceptgrant"}, want: []string{"functions apart"}},
		{name: "inside of another function", imports: []string{"./functions/sendevent ./functions/acceptgrant/internal/x"},
			want: []string{"functions apart"}},
		{name: "helper to function", imports: []string{"./functions/internal/wiring ./functions/acceptgrant"}, want: []string{"functions apart"}},
		{name: "client library in a function", imports: []string{"./functions/sendevent cloud.google.com/go/pubsub/v2"},
			want: []string{"cloud SDK"}},
		{name: "gRPC in a client", imports: []string{"./shared/lwa google.golang.org/grpc/status"}, want: []string{"cloud SDK"}},
		{name: "API options at the root", imports: []string{". google.golang.org/api/option"}, want: []string{"cloud SDK"}},
		{name: "client library in the interface", imports: []string{"./shared/grant cloud.google.com/go/firestore"}, want: []string{"cloud SDK"}},
		{name: "framework in one function", imports: []string{"./functions/sendevent " + framework}, want: []string{"framework"}},
		{name: "framework in a script", imports: []string{"./scripts/internal/local " + framework}, want: []string{"framework"}},
		{name: "simulator in a function", imports: []string{"./functions/internal/wiring ./shared/simulator"}, want: []string{"test doubles"}},
		{name: "contract suite in the store", imports: []string{"./shared/grant/grantmem ./shared/testkit/granttest"},
			want: []string{"test doubles"}},
		{name: "fake Google in the proxy", imports: []string{"./functions/skillproxy ./shared/testkit/federationtest"},
			want: []string{"test doubles"}},
		{name: "store in the proxy", imports: []string{"./functions/skillproxy ./shared/grant"}, want: []string{"small proxy"}},
		{name: "SDK in the proxy, through others", imports: []string{
			"./functions/skillproxy ./shared/federation", "./shared/federation cloud.google.com/go/auth",
		}, want: []string{"cloud SDK", "small proxy"}},
		{name: "AWS in a function", imports: []string{"./functions/sendevent github.com/aws/aws-lambda-go/events"},
			want: []string{"small proxy"}},
		{name: "emulator in a client", imports: []string{"./shared/grant/grantfire ./shared/testkit/emulator"}, want: []string{"test doubles"}},
		{name: "module in alexa", imports: []string{"./shared/alexa github.com/google/uuid"}, want: []string{"foundation"}},
		{name: "our own package in sensitive", imports: []string{"./shared/sensitive ./shared/logging"}, want: []string{"foundation"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := graph{}
			for _, line := range test.imports {
				from, to, _ := strings.Cut(line, " ")
				g.add(from, from+"/file.go", to)
			}
			var got []string
			for _, v := range violations(g) {
				got = append(got, v.rule.name)
			}
			slices.Sort(got)
			if diff := cmp.Diff(test.want, slices.Compact(got)); diff != "" {
				t.Errorf("broken rules differ (-want +got):\n%s%v", diff, violations(g))
			}
		})
	}
}

func TestViolationText(t *testing.T) {
	t.Parallel()
	g := graph{}
	g.add("./shared/lwa", "shared/lwa/client.go", "./shared/transport")
	g.add("./shared/transport", "shared/transport/cause.go", "./shared/delivery")
	found := violations(g)
	want := "./shared/lwa imports ./shared/transport imports ./shared/delivery, but " + rules[0].reason
	if len(found) != 1 || found[0].String() != want {
		t.Errorf("violations = %v, want %q", found, want)
	}
}

// layers are the packages between which imports point down, from the top. A package
// in no layer may import and be imported by any, as long as no layer reaches a
// higher one through it. As in the go command's arguments, "dir/..." is dir and
// everything below it.
var layers = [][]string{
	{"./scripts/..."},
	{"."},
	{"./functions/..."},
	{"./shared/delivery/...", "./shared/sweep/..."},
	{"./shared/access/..."},
	{"./shared/federation/...", "./shared/gateway/...", "./shared/grant/...", "./shared/grantee/...", "./shared/lwa/...", "./shared/seal/..."},
	{"./shared/alexa/..."},
	{"./shared/sensitive/..."},
}

// A rule forbids imports.
type rule struct {
	name   string
	reason string
	// indirect rules also forbid to import the package through others.
	indirect bool
	broken   func(from, to string) bool
}

var rules = []rule{{
	name: "downward",
	reason: "imports point downward only " +
		"(root → functions → delivery, sweep → access → federation, gateway, grant, grantee, lwa, seal → alexa → sensitive): " +
		"a package that knew its callers could be neither understood nor tested without them",
	indirect: true,
	broken: func(from, to string) bool {
		low, lowKnown := layerOf(from)
		high, highKnown := layerOf(to)
		return lowKnown && highKnown && high < low
	},
}, {
	name:     "shared",
	reason:   "shared packages know no function and no program: they are what all of these have in common",
	indirect: true,
	broken: func(from, to string) bool {
		return in(from, "./shared/...") && in(to, ".", "./functions/...", "./scripts/...")
	},
}, {
	name: "functions apart",
	reason: "functions never import each other: each is deployed, scaled and broken by itself, and what two of them need belongs in " +
		"shared or functions/internal",
	broken: func(from, to string) bool {
		own, other := functionOf(from), functionOf(to)
		return own != "" && other != "" && own != other && other != "internal"
	},
}, {
	name: "cloud SDK",
	reason: "only grantfire, secret, wiring and testkit know a cloud SDK: " +
		"everything else runs, and is tested, without a cloud, and would survive a change to another one",
	broken: func(from, to string) bool {
		return inModule(from) && isCloudSDK(to) &&
			!in(from, "./shared/grant/grantfire/...", "./shared/secret/...", "./functions/internal/wiring", "./shared/testkit/...", "./scripts/...")
	},
}, {
	name: "framework",
	reason: "only the root, functions and shared/handler import the Functions Framework: " +
		"a function is a plain http.Handler that any server can serve",
	broken: func(from, to string) bool {
		return in(to, "github.com/GoogleCloudPlatform/functions-framework-go/...") && !in(from, ".", "./functions", "./shared/handler/...")
	},
}, {
	name: "test doubles",
	reason: "only tests and scripts import simulator and testkit: " +
		"a deployed function must not carry a fake that it could fall back on",
	broken: func(from, to string) bool {
		return isTestDouble(to) && !isTestDouble(from) && !in(from, "./scripts/...")
	},
}, {
	name: "small proxy",
	reason: "skillproxy starts cold while a customer waits, so it carries neither a cloud SDK nor what serves or stores on Google Cloud, " +
		"and what only an AWS Lambda needs is in no other program",
	indirect: true,
	broken: func(from, to string) bool {
		proxy, aws := []string{"./functions/skillproxy/..."}, []string{"github.com/aws/..."}
		heavy := isCloudSDK(to) || in(to, "github.com/GoogleCloudPlatform/...", "./shared/handler/...", "./shared/grant/...", "./shared/seal/...",
			"./shared/secret/...")
		return in(from, proxy...) && heavy || inModule(from) && !in(from, proxy...) && in(to, aws...)
	},
}, {
	name: "foundation",
	reason: "alexa and sensitive import the standard library and each other only: they say what Alexa's messages and secrets are, " +
		"whatever they are used for",
	broken: func(from, to string) bool {
		foundation := []string{"./shared/alexa/...", "./shared/sensitive/..."}
		return in(from, foundation...) && !in(to, foundation...) && !isStandard(to)
	},
}}

// in reports whether pkg is one of the patterns.
func in(pkg string, patterns ...string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		dir, below := strings.CutSuffix(pattern, "/...")
		return pkg == dir || below && strings.HasPrefix(pkg, dir+"/")
	})
}

func layerOf(pkg string) (int, bool) {
	i := slices.IndexFunc(layers, func(layer []string) bool { return in(pkg, layer...) })
	return i, i >= 0
}

// functionOf returns the package's directory in functions, "" for every other
// package, including functions itself, which lists them all.
func functionOf(pkg string) string {
	below, _ := strings.CutPrefix(pkg, "./functions/")
	if below == pkg {
		return ""
	}
	name, _, _ := strings.Cut(below, "/")
	return name
}

func inModule(pkg string) bool { return pkg == "." || strings.HasPrefix(pkg, "./") }

func isCloudSDK(pkg string) bool {
	return in(pkg, "cloud.google.com/go/...", "google.golang.org/api/...", "google.golang.org/genproto/...", "google.golang.org/grpc/...")
}

func isTestDouble(pkg string) bool {
	return in(pkg, "./shared/simulator/...", "./shared/testkit/...")
}

// isStandard reports whether the package is in the standard library: only there
// does the first element of an import path have no dot.
func isStandard(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(first, ".")
}

// violation is one import that breaks a rule.
type violation struct {
	rule rule
	how  string
}

func (v violation) String() string { return v.how + ", but " + v.rule.reason }

// violations checks every import of the graph against every rule.
func violations(g graph) []violation {
	var found []violation
	for _, from := range slices.Sorted(maps.Keys(g)) {
		direct, all := g[from], reach(g, from)
		for _, to := range slices.Sorted(maps.Keys(all)) {
			file, isDirect := direct[to]
			for _, r := range rules {
				if isDirect && r.broken(from, to) {
					found = append(found, violation{r, fmt.Sprintf("%s imports %s", file, to)})
				}
				if !isDirect && r.indirect && r.broken(from, to) {
					found = append(found, violation{r, strings.Join(all[to], " imports ")})
				}
			}
		}
	}
	return found
}

// reach returns every package that from imports, directly or through others, with
// the shortest path to it.
func reach(g graph, from string) map[string][]string {
	reached := map[string][]string{}
	queue := [][]string{{from}}
	for len(queue) > 0 {
		trail := queue[0]
		queue = queue[1:]
		for _, to := range slices.Sorted(maps.Keys(g[trail[len(trail)-1]])) {
			if reached[to] == nil {
				reached[to] = append(slices.Clone(trail), to)
				queue = append(queue, reached[to])
			}
		}
	}
	return reached
}

// root is the module's root directory, relative to this package's.
const root = "../../.."

// tree is the module's source tree.
var tree = os.DirFS(root)

// graph contains the imports: importing package → imported package → one file that
// imports it. Packages of the module are named by their directory, "." or
// "./shared/alexa", and others by their import path. Only product code counts: a
// test may import anything.
type graph map[string]map[string]string

// add records the imports of a file of package from.
func (g graph) add(from, file string, imports ...string) {
	if g[from] == nil {
		g[from] = map[string]string{}
	}
	for _, to := range imports {
		g[from][to] = file
	}
}

// load reads the module's import graph from files. It ignores build constraints, so
// that the rules apply to all platforms.
func load(files fs.FS) (graph, error) {
	module, err := modulePath(files)
	if err != nil {
		return nil, err
	}
	g := graph{}
	err = fs.WalkDir(files, ".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && skipped(files, file):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		return g.addFile(files, module, file)
	})
	return g, err
}

// skipped reports whether the go command would ignore the directory too.
func skipped(files fs.FS, dir string) bool {
	name := path.Base(dir)
	if dir == "." {
		return false
	}
	_, err := fs.Stat(files, path.Join(dir, "go.mod")) // another module
	return err == nil || name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

func (g graph) addFile(files fs.FS, module, file string) error {
	source, err := fs.ReadFile(files, file)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ImportsOnly)
	if err != nil {
		return fmt.Errorf("parse the imports: %w", err)
	}
	var imports []string
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("%s: unquote %s: %w", file, spec.Path.Value, err)
		}
		if imported == module {
			imported = local(".")
		} else if inside, ok := strings.CutPrefix(imported, module+"/"); ok {
			imported = local(inside)
		}
		imports = append(imports, imported)
	}
	g.add(local(path.Dir(file)), file, imports...)
	return nil
}

// local returns a name for a package of the module that no other package has.
func local(dir string) string {
	if dir == "." {
		return dir
	}
	return "./" + dir
}

// modulePath returns the module's path from go.mod.
func modulePath(files fs.FS) (string, error) {
	data, err := fs.ReadFile(files, "go.mod")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "module" {
			return fields[1], nil
		}
	}
	return "", errors.New("go.mod has no module line")
}

func TestLoad(t *testing.T) {
	t.Parallel()
	source := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	got, err := load(fstest.MapFS{
		"go.mod":              source("module example.com/m\n\ngo 1.26.0\n"),
		"m.go":                source("package m\n\nimport _ \"example.com/m/a\"\n"),
		"a/a.go":              source("package a\n\nimport (\n\t\"fmt\"\n\tx \"example.com/m\"\n)\n"),
		"a/a_windows.go":      source("package a\n\nimport \"example.com/other\"\n"),
		"a/a_test.go":         source("package a\n\nimport \"testing\"\n"),
		"a/testdata/x.go":     source("package x\n\nimport \"net\"\n"),
		"b/.gen/x.go":         source("package x\n\nimport \"net\"\n"),
		"b/b.go":              source("package b\n"),
		"c/go.mod":            source("module example.com/c\n"),
		"c/c.go":              source("package c\n\nimport \"net\"\n"),
		"example.com/m/im.go": source("package im\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := graph{
		".":               {"./a": "m.go"},
		"./a":             {"fmt": "a/a.go", ".": "a/a.go", "example.com/other": "a/a_windows.go"},
		"./b":             {},
		"./example.com/m": {},
	}
	expect.Equal(t, "graph", want, got)
}
