package main

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, rule, path string
		isDir            bool
		want             bool
	}{
		{name: "file by its name", rule: "crash.log", path: "crash.log", want: true},
		{name: "file by its name, anywhere", rule: "crash.log", path: "a/b/crash.log", want: true},
		{name: "file of another name", rule: "crash.log", path: "crash.log.go"},
		{name: "anchored file", rule: "/README.md", path: "README.md", want: true},
		{name: "anchored file, elsewhere", rule: "/README.md", path: "a/README.md"},
		{name: "path", rule: "a/b.go", path: "a/b.go", want: true},
		{name: "path, elsewhere", rule: "a/b.go", path: "x/a/b.go"},
		{name: "directory", rule: "testdata/", path: "a/testdata", isDir: true, want: true},
		{name: "file named like a directory", rule: "testdata/", path: "a/testdata"},
		{name: "directory, without a slash", rule: "testdata", path: "a/testdata", isDir: true, want: true},
		{name: "anchored directory", rule: "/infra/", path: "infra", isDir: true, want: true},
		{name: "anchored directory, elsewhere", rule: "/infra/", path: "a/infra", isDir: true},
		{name: "path of a directory", rule: "/shared/binary/", path: "shared/binary", isDir: true, want: true},
		{name: "ending", rule: "*_test.go", path: "a/b_test.go", want: true},
		{name: "other ending", rule: "*_test.go", path: "a/test.go"},
		{name: "dot-file", rule: ".*", path: "a/.env", want: true},
		{name: "no dot-file", rule: ".*", path: "a/b.go"},
		{name: "asterisk and slash", rule: "/a/*.go", path: "a/b/c.go"},
		{name: "asterisk in the middle", rule: "*.tfstate.*", path: "terraform.tfstate.backup", want: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, err := parse(test.rule)
			if err != nil {
				t.Fatal(err)
			}
			if got := (rules{r}).match(test.path, test.isDir); got != test.want {
				t.Errorf("rule %q leaves %q out (directory %t): %t, want %t", test.rule, test.path, test.isDir, got, test.want)
			}
		})
	}
}

func TestReadRules(t *testing.T) {
	t.Parallel()
	tree := fstest.MapFS{
		".gcloudignore": {Data: []byte("# a comment\n\n#!include:.gitignore\n  a.go  \r\n")},
		".gitignore":    {Data: []byte("b.go\n#!include:.gcloudignore\n")}, // a comment: an included file includes none
	}
	got, err := readRules(tree, ".gcloudignore")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || !got.match("a.go", false) || !got.match("b.go", false) {
		t.Errorf("rules = %+v, want those for a.go and b.go", got)
	}
}

func TestReadRulesRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		files fstest.MapFS
		want  string // part of the error
	}{
		{name: "no rules", files: fstest.MapFS{}, want: ".gcloudignore"},
		{name: "included file that is missing", files: fstest.MapFS{".gcloudignore": {Data: []byte("#!include:.gitignore")}}, want: ".gitignore"},
		{name: "what is left in again", files: fstest.MapFS{".gcloudignore": {Data: []byte("*.go\n!a.go\n")}}, want: `"!a.go"`},
		{name: "any number of directories", files: fstest.MapFS{".gcloudignore": {Data: []byte("a/**/b\n")}}, want: `"a/**/b"`},
		{name: "set of characters", files: fstest.MapFS{".gcloudignore": {Data: []byte("*.[oa]\n")}}, want: `"*.[oa]"`},
		{name: "escaped character", files: fstest.MapFS{".gcloudignore": {Data: []byte(`\#a` + "\n")}}, want: `"\\#a"`},
		{name: "one character", files: fstest.MapFS{".gcloudignore": {Data: []byte("a?\n")}}, want: `"a?"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := readRules(test.files, ".gcloudignore")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("readRules() = %v, %v, want an error with %s", got, err, test.want)
			}
		})
	}
}
