package main

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// with returns a small tree with more files.
func with(files fstest.MapFS) fstest.MapFS {
	tree := fstest.MapFS{
		".gcloudignore": {Data: []byte(".*\n*_test.go\n/infra/\n")},
		"go.mod":        {Data: []byte("module example.com/m\n")},
		"a/b.go":        {Data: []byte("package a\n")},
	}
	for name, file := range files {
		tree[name] = file
	}
	return tree
}

func TestSource(t *testing.T) {
	t.Parallel()
	got, err := source(with(fstest.MapFS{
		"a.go": {}, "a/b_test.go": {}, "a/.env": {}, "infra/key.json": {}, "infra/link": {Mode: fs.ModeSymlink}, "z.go": {},
	}))
	if diff := cmp.Diff([]string{"a.go", "a/b.go", "go.mod", "z.go"}, got); diff != "" || err != nil {
		t.Errorf("names differ (-want +got):\n%serror: %v", diff, err)
	}
}

// TestRefusals packs a tree with a file that must not travel. All of them are
// named, and nothing is written.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		files fstest.MapFS
		want  []string // parts of the error
	}{
		{name: "keys", files: fstest.MapFS{"a/key.json": {}, "keyset.pem": {}}, want: []string{"a/key.json", "keyset.pem"}},
		{name: "second module", files: fstest.MapFS{"a/go.mod": {}}, want: []string{"a/go.mod"}},
		{name: "link", files: fstest.MapFS{"a/c.go": {Mode: fs.ModeSymlink, Data: []byte("b.go")}}, want: []string{"a/c.go"}},
		{name: "pipe", files: fstest.MapFS{"a/c.go": {Mode: fs.ModeNamedPipe}}, want: []string{"a/c.go"}},
		{name: "rule of an unknown kind", files: fstest.MapFS{".gcloudignore": {Data: []byte("!a\n")}}, want: []string{`"!a"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var written bytes.Buffer
			err := run(with(test.files), &written)
			if err == nil || written.Len() > 0 {
				t.Fatalf("run() = %v, and wrote %d bytes; want an error and nothing", err, written.Len())
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not name %s: %v", want, err)
				}
			}
		})
	}
}
