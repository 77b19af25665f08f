package deptest

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// root is the module's root directory, seen from this package's.
const root = "../../.."

// tree is the module's source tree.
var tree = os.DirFS(root)

// graph says which package imports what: importing package → imported package
// → one file that does. Packages of the module are named by their directory,
// "." or "./shared/alexa", and all others by their import path. Only product
// code counts: a test may import what it needs.
type graph map[string]map[string]string

// add notes that a file of package from imports these packages.
func (g graph) add(from, file string, imports ...string) {
	if g[from] == nil {
		g[from] = map[string]string{}
	}
	for _, to := range imports {
		g[from][to] = file
	}
}

// load reads the import graph of the module in files. Build constraints are not
// looked at: what one platform may not import, none may.
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

// skipped reports whether the go command would ignore the directory as well.
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

// local names a package of the module so that no other package has its name.
func local(dir string) string {
	if dir == "." {
		return dir
	}
	return "./" + dir
}

// modulePath reads the module's path from go.mod.
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
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("graph differs (-want +got):\n%s", diff)
	}
}
