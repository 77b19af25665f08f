package main

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"time"
)

// source returns the names of the files to pack, sorted.
func source(tree fs.FS) ([]string, error) {
	ignored, err := readRules(tree, ".gcloudignore")
	if err != nil {
		return nil, err
	}
	var names []string
	var faults error
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && ignored.match(name, entry.IsDir()):
			if entry.IsDir() {
				return fs.SkipDir
			}
		case entry.IsDir():
		case !entry.Type().IsRegular() || !isSource(name):
			faults = errors.Join(faults, fmt.Errorf("%s is not a file of Go source, and no rule of .gcloudignore leaves it out", name))
		default:
			names = append(names, name)
		}
		return nil
	})
	// By the whole name: a walk has "a/b" before "a.go".
	slices.Sort(names)
	return names, errors.Join(err, faults)
}

func isSource(name string) bool {
	return name == "go.mod" || name == "go.sum" || path.Ext(name) == ".go"
}

// modified is every entry's time. The format begins in 1980.
var modified = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

func pack(w io.Writer, tree fs.FS, names []string) error {
	archive := zip.NewWriter(w)
	for _, name := range names {
		data, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: modified}
		header.SetMode(0o644) // the buildpack has to write to go.mod
		entry, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := entry.Write(data); err != nil {
			return err
		}
	}
	return archive.Close()
}
