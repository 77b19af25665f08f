package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOnce is what CI runs: everything, from nothing.
func TestOnce(t *testing.T) {
	t.Parallel()
	p := launch(t, "program", nil, "-once")
	output := p.ends(0)
	for _, want := range []string{
		`(?m)^  link +\d+ ms  AcceptGrant answered AcceptGrant\.Response$`,
		`(?m)^  grant +u-1 linked in EU, 1 active grant$`,
		`(?m)^  refresh +\d+ ms  16 shards swept, 1 new token from Login with Amazon$`,
		`(?m)^  event +\d+ ms  m\d+ of u-1/lamp-1, attempt 1: status 200, accepted$`,
		`(?m)^  report +\d+ ms  ChangeReport m\d+ was accepted by the gateway of EU, with the new token$`,
		`(?m)^  in all +\d+ ms  and \d+ ms since the program started$`,
		`(?m)^Stopped with no event in flight\.$`,
	} {
		if !regexp.MustCompile(want).MatchString(output) {
			t.Errorf("no line like %s", want)
		}
	}
	if strings.Contains(output, "Serving function") {
		t.Error("the framework writes on the screen")
	}
	if p.stderr.Len() > 0 {
		t.Errorf("standard error: %s", &p.stderr)
	}
}

func TestOnceRefused(t *testing.T) {
	t.Parallel()
	output := launch(t, "program", nil, "-once", "-refuse").ends(1)
	want := `(?m)^  report +\d+ ms  FAILED: message m\d+: no gateway accepted it; the gateway of EU answered 400 INVALID_REQUEST_EXCEPTION$`
	if !regexp.MustCompile(want).MatchString(output) {
		t.Errorf("no line like %s", want)
	}
}

func TestEmulatorThatDoesNotRun(t *testing.T) {
	t.Parallel()
	for _, variable := range []string{pubsubHost, firestoreHost} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			p := launch(t, "program", []string{variable + "=" + loopback + ":1"}) // where nobody listens
			p.ends(1)
			if want := "local: " + variable + ": no emulator: "; !strings.HasPrefix(p.stderr.String(), want) {
				t.Errorf("standard error %q, want it to begin with %q", &p.stderr, want)
			}
		})
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	p := launch(t, "program", nil, "-once", "-logs")
	p.ends(0)
	for _, function := range []string{"AcceptGrant", "RefreshTokens", "RefreshShard", "SendEvent"} {
		if want := `"function":"` + function + `"`; !strings.Contains(p.stderr.String(), want) {
			t.Errorf("no log line with %s", want)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args []string
		want options
		ok   bool
	}{
		{"defaults", nil, options{project: "gatepost-local", port: 8080, makerPort: 8089, lwaPort: 8090}, true},
		{"all", []string{"-once", "-refuse", "-logs", "-project=p", "-port=1", "-maker-port=2", "-simulator-port=3"}, options{true, true, true, "p", 1, 2, 3}, true},
		{"unknown flag", []string{"-twice"}, options{}, false},
		{"no number", []string{"-port=http"}, options{}, false},
		{"an argument", []string{"once"}, options{}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var stderr strings.Builder
			got, err := parse(test.args, &stderr)
			if (err == nil) != test.ok || (stderr.Len() == 0) != test.ok {
				t.Fatalf("%v, standard error %q, want ok %v", err, &stderr, test.ok)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(options{})); test.ok && diff != "" {
				t.Errorf("options differ (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := parse([]string{"-h"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("parse(-h) = %v", err)
	}
	for args, want := range map[string]int{"-h": 0, "-twice": 2} {
		if got := run(context.Background(), []string{args}, io.Discard, io.Discard); got != want {
			t.Errorf("run(%s) = %d, want %d", args, got, want)
		}
	}
}
