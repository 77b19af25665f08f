package main

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// rules are those of an ignore file, as far as this project needs them: names
// and paths, with asterisks. See https://git-scm.com/docs/gitignore and
// https://cloud.google.com/sdk/gcloud/reference/topic/gcloudignore.
type rules []rule

type rule struct {
	pattern  string // for path.Match
	anchored bool   // matches the whole path, not the last element of it
	dirOnly  bool
}

// match reports whether a file or directory is left out. Whoever walks a tree
// does not look into a directory that is: no rule could bring back a part of it.
func (rs rules) match(name string, isDir bool) bool {
	for _, r := range rs {
		subject := path.Base(name)
		if r.anchored {
			subject = name
		}
		if matched, _ := path.Match(r.pattern, subject); matched && (isDir || !r.dirOnly) {
			return true
		}
	}
	return false
}

// include is how .gcloudignore takes in the rules of another file.
const include = "#!include:"

// readRules reads the file and those that it includes. Their order does not
// matter, since no rule takes back what another one leaves out.
func readRules(tree fs.FS, file string) (rules, error) {
	var all rules
	for files := []string{file}; len(files) > 0; files = files[1:] {
		data, err := fs.ReadFile(tree, files[0])
		if err != nil {
			return nil, fmt.Errorf("reading the rules: %w", err)
		}
		for line := range strings.Lines(string(data)) {
			line = strings.TrimSpace(line)
			if other, ok := strings.CutPrefix(line, include); ok && files[0] == file {
				files = append(files, other)
			} else if line != "" && !strings.HasPrefix(line, "#") {
				r, err := parse(line)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", files[0], err)
				}
				all = append(all, r)
			}
		}
	}
	return all, nil
}

// parse refuses what it would have to guess about: a rule that is understood
// in another way than by gcloud packs too little, or too much.
func parse(line string) (rule, error) {
	if strings.ContainsAny(line, `!?[]\`) || strings.Contains(line, "**") {
		return rule{}, fmt.Errorf("the rule %q is of a kind that is not known here: use names, paths and single asterisks", line)
	}
	pattern, dirOnly := strings.CutSuffix(line, "/")
	return rule{pattern: strings.TrimPrefix(pattern, "/"), anchored: strings.Contains(pattern, "/"), dirOnly: dirOnly}, nil
}
