// Package reference parses references to secrets. It imports no cloud SDK, so that
// fuzzing it does not instrument one.
package reference

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Source is the kind of place that a secret is kept in.
type Source int

// The sources. The zero Source is none.
const (
	Manager Source = iota + 1
	File
	Env
)

var (
	// https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/create
	// and, for aliases of versions, .../v1/projects.secrets#Secret. A project is an
	// id or a number; old ids have a domain. The lengths are checked separately: as
	// part of the expression they take a millisecond of each start.
	managerName = regexp.MustCompile(`^projects/[a-z0-9][a-z0-9.:-]*/secrets/([A-Za-z0-9_-]+)(?:/versions/([A-Za-z0-9_-]+))?$`)
	envName     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// Ref is a reference to a secret. The zero Ref is none. Equal references are ==.
type Ref struct {
	Source Source
	Name   string // resource name with its version, path, or variable
}

// Parse parses a reference to a secret. The error shows nothing of s.
func Parse(s string) (Ref, error) {
	if path, ok := strings.CutPrefix(s, "file:"); ok {
		if path == "" || strings.ContainsFunc(path, unicode.IsControl) {
			return Ref{}, errors.New("secret reference: file: must be followed by a path")
		}
		return Ref{File, path}, nil
	}
	if name, ok := strings.CutPrefix(s, "env:"); ok {
		if !envName.MatchString(name) {
			return Ref{}, errors.New("secret reference: env: must be followed by the name of a variable")
		}
		return Ref{Env, name}, nil
	}
	found := managerName.FindStringSubmatch(s)
	if found == nil || len(found[1]) > 255 || len(found[2]) > 63 {
		return Ref{}, errors.New("secret reference: must be projects/P/secrets/S[/versions/V], file:PATH or env:NAME (value not shown)")
	}
	if found[2] == "" {
		s += latestVersion
	}
	return Ref{Manager, s}, nil
}

// String returns the reference in the form that Parse accepts, with its version.
func (r Ref) String() string {
	switch r.Source {
	case Manager:
		return r.Name
	case File:
		return "file:" + r.Name
	case Env:
		return "env:" + r.Name
	default:
		return "none"
	}
}

// latestVersion is the end of the name of a latest version.
const latestVersion = "/versions/latest"

// Latest reports whether the reference is to the latest version, whichever that is.
func (r Ref) Latest() bool { return r.Source == Manager && strings.HasSuffix(r.Name, latestVersion) }

// Secret returns the name of the secret without "latest".
func (r Ref) Secret() string { return strings.TrimSuffix(r.Name, latestVersion) }

// Version returns the reference of a version of the same secret.
func (r Ref) Version(number uint64) Ref {
	return Ref{Manager, r.Secret() + "/versions/" + strconv.FormatUint(number, 10)}
}
