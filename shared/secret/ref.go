package secret

import (
	"errors"
	"regexp"
	"strings"
	"unicode"
)

type source int

const (
	manager source = iota + 1
	file
	env
)

var (
	// https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/create
	// and, for aliases of versions, .../v1/projects.secrets#Secret. A project is
	// an id or a number; old ids carry a domain. The lengths are looked at
	// elsewhere: as part of the expression they take a millisecond of each start.
	managerName = regexp.MustCompile(`^projects/[a-z0-9][a-z0-9.:-]*/secrets/([A-Za-z0-9_-]+)(?:/versions/([A-Za-z0-9_-]+))?$`)
	envName     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// Ref says where a secret is. The zero Ref is nowhere; only ParseRef makes
// others. Equal references are ==.
type Ref struct {
	source source
	name   string // resource name with its version, path, or variable
}

// ParseRef reads a secret reference. The error shows nothing of s.
func ParseRef(s string) (Ref, error) {
	if path, ok := strings.CutPrefix(s, "file:"); ok {
		if path == "" || strings.ContainsFunc(path, unicode.IsControl) {
			return Ref{}, errors.New("secret reference: file: must be followed by a path")
		}
		return Ref{file, path}, nil
	}
	if name, ok := strings.CutPrefix(s, "env:"); ok {
		if !envName.MatchString(name) {
			return Ref{}, errors.New("secret reference: env: must be followed by the name of a variable")
		}
		return Ref{env, name}, nil
	}
	found := managerName.FindStringSubmatch(s)
	if found == nil || len(found[1]) > 255 || len(found[2]) > 63 {
		return Ref{}, errors.New("secret reference: must be projects/P/secrets/S[/versions/V], file:PATH or env:NAME (value not shown)")
	}
	if found[2] == "" {
		s += "/versions/latest"
	}
	return Ref{manager, s}, nil
}

// String returns the reference in the form that ParseRef reads, with the
// version written out.
func (r Ref) String() string {
	switch r.source {
	case manager:
		return r.name
	case file:
		return "file:" + r.name
	case env:
		return "env:" + r.name
	default:
		return "none"
	}
}
