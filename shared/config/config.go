// Package config reads a process's configuration from its environment.
//
// A [Source] returns the variables one by one, by type, and collects faults instead
// of stopping at the first; [Source.Err] then returns them all. A fault names the
// variable and the rule, never the value, which may be a secret that was pasted
// into the wrong place.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Env is an environment: variables by name. Product code reads the environment of
// the process only in main, so that a test, or a program that runs all functions in
// one process, can pass another.
type Env map[string]string

// Environ returns the environment of the process.
func Environ() Env {
	env := make(Env)
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	return env
}

// Lookup returns a variable, as [os.LookupEnv] does.
func (e Env) Lookup(name string) (string, bool) {
	value, ok := e[name]
	return value, ok
}

// Source reads variables and collects their faults.
type Source struct {
	env    Env
	known  map[string]bool // the variables that were read
	faults []string
}

// NewSource returns a Source that reads env.
func NewSource(env Env) *Source { return &Source{env: env, known: make(map[string]bool)} }

// Err returns nil, or one error that lists all faults, one per line.
func (s *Source) Err() error {
	if len(s.faults) == 0 {
		return nil
	}
	return errors.New(strings.Join(s.faults, "\n"))
}

// Fault records that a variable breaks a rule. A repeated fault is recorded once:
// functions of one process share variables.
func (s *Source) Fault(name, rule string, args ...any) {
	fault := name + ": " + fmt.Sprintf(rule, args...)
	if !slices.Contains(s.faults, fault) {
		s.faults = append(s.faults, fault)
	}
}

// Text returns a variable, or fallback if it is unset or empty.
func (s *Source) Text(name, fallback string) string {
	s.known[name] = true
	return cmp.Or(s.env[name], fallback)
}

// Matching returns a variable that must match a pattern, or fallback if it is unset
// or empty. rule describes the pattern in words.
func (s *Source) Matching(name, fallback string, pattern *regexp.Regexp, rule string) string {
	value := s.Text(name, "")
	if value == "" {
		return fallback
	}
	if !pattern.MatchString(value) {
		s.Fault(name, "must be %s", rule)
		return fallback
	}
	return value
}

// Unused records a fault if a variable that must not be set together with another
// is set.
func (s *Source) Unused(name, beside string) {
	if s.Text(name, "") != "" {
		s.Fault(name, "must not be set with %s", beside)
	}
}

// Known returns the variables that were read, in alphabetical order.
func (s *Source) Known() []string { return slices.Sorted(maps.Keys(s.known)) }

// Misspelled returns a warning for each set variable that was not read and is one
// letter away from an unset one that was read. Call it when all variables have been
// read.
func (s *Source) Misspelled() []string {
	var warnings []string
	for _, name := range slices.Sorted(maps.Keys(s.env)) {
		for _, known := range s.Known() {
			if !s.known[name] && s.env[known] == "" && oneEdit(name, known) {
				warnings = append(warnings, fmt.Sprintf("the variable %s is not known: did you mean %s?", name, known))
			}
		}
	}
	return warnings
}

// oneEdit reports whether two words differ by one letter that is added, missing or
// different, or by two adjacent letters that are swapped.
func oneEdit(a, b string) bool {
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return len(a) <= 1 && len(b) <= 1 || len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
}

// Required returns a variable that must be set.
func (s *Source) Required(name, why string) string {
	value := s.Text(name, "")
	if value == "" {
		s.Fault(name, "required (%s)", why)
	}
	return value
}

// OneOf returns a variable that must have one of the given values. The first is the
// default.
func (s *Source) OneOf(name string, values ...string) string {
	value := s.Text(name, values[0])
	if !slices.Contains(values, value) {
		s.Fault(name, "must be one of %s", strings.Join(values, ", "))
		return values[0]
	}
	return value
}

// Int returns a variable that must be a whole number from least to most.
func (s *Source) Int(name string, fallback, least, most int) int {
	n, err := strconv.Atoi(s.Text(name, strconv.Itoa(fallback)))
	if err != nil || n < least || n > most {
		s.Fault(name, "must be a whole number from %d to %d", least, most)
		return fallback
	}
	return n
}

// Duration returns a variable that must be a duration, such as 5m or 90s, from
// least to most.
func (s *Source) Duration(name string, fallback, least, most time.Duration) time.Duration {
	d, err := time.ParseDuration(s.Text(name, fallback.String()))
	if err != nil || d < least || d > most {
		s.Fault(name, "must be a duration from %s to %s, such as %s", least, most, fallback)
		return fallback
	}
	return d
}

// URL returns a variable that must be an absolute https URL. Plain http is allowed
// for loopback addresses, which tests and the local run use.
func (s *Source) URL(name, fallback string) *url.URL {
	u, err := url.Parse(s.Text(name, fallback))
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		s.Fault(name, "must be an absolute URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		s.Fault(name, "must have no user, query or fragment")
	case u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())):
		s.Fault(name, "must begin with https:// (http:// is for this machine only)")
	default:
		return u
	}
	u, _ = url.Parse(fallback)
	return u
}

// BaseURL is like URL, but the variable must not have a path either.
func (s *Source) BaseURL(name, fallback string) *url.URL {
	u := s.URL(name, fallback)
	if u != nil && strings.Trim(u.Path, "/") != "" {
		s.Fault(name, "must have no path, which is added")
	}
	return u
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
