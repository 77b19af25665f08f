package main

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/testkit/readme"
)

func TestParse(t *testing.T) {
	t.Parallel()
	required := options{subscription: "dead", topic: "events", idle: 5 * time.Second}
	with := func(change func(*options)) options {
		o := required
		change(&o)
		return o
	}
	for _, test := range []struct {
		name string
		args string // after the required ones
		want options
	}{
		{"required ones", "", required},
		{"filter", "-reason r -code c -region EU", with(func(o *options) {
			o.filter = filter{reason: "r", code: "c", region: alexa.EU}
		})},
		{"customer", "-customer 0123456789abcdef", with(func(o *options) { o.filter.customer = "0123456789abcdef" })},
		{"user", "-user u-1", with(func(o *options) { o.filter.customer = grant.CustomerHash("u-1") })},
		{"user and the same customer", "-user u-1 -customer " + grant.CustomerHash("u-1"), with(func(o *options) {
			o.filter.customer = grant.CustomerHash("u-1")
		})},
		{"times", "-since 2026-01-02T12:00:00+01:00 -until 30m", with(func(o *options) {
			o.filter.since, o.filter.until = time.Date(2026, 1, 2, 12, 0, 0, 0, time.FixedZone("", 3600)), noon.Add(-30*time.Minute)
		})},
		{"how", "-project p -max 3 -idle 1s -for-real -force -as-new -set-region FE -json -progress", with(func(o *options) {
			o.project, o.max, o.idle, o.forReal, o.json, o.progress = "p", 3, time.Second, true, true, true
			o.revival = revival{force: true, asNew: true, region: alexa.FE}
		})},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"-subscription", "dead", "-topic", "events"}, strings.Fields(test.args)...)
			got, err := parse(args, io.Discard, noon)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(options{}, filter{}, revival{})); diff != "" {
				t.Errorf("parse() differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const required = "-subscription s -topic t "
	for _, args := range []string{
		"-topic t", "-subscription s", required + "all", required + "-everything", required + "-region eu", required + "-set-region=",
		required + "-customer u-1", required + "-user=", required + "-user u-1 -user u-2", required + "-since yesterday",
		required + "-since -2h", required + "-since 1h -until 2h", required + "-max -1", required + "-idle 0s",
	} {
		if _, err := parse(strings.Fields(args), io.Discard, noon); err == nil || errors.Is(err, flag.ErrHelp) {
			t.Errorf("parse(%q) = %v, want an error", args, err)
		}
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var out, errs strings.Builder
	p := program{stdout: &out, stderr: &errs, now: time.Now}
	if status := p.run(t.Context(), []string{"-h"}); status != exitOK || errs.Len() > 0 {
		t.Errorf("run(-h) = %d and wrote %q", status, errs.String())
	}
	if !strings.Contains(out.String(), "  -subscription") {
		t.Errorf("the help names no flags: %s", out.String())
	}
	out.Reset()
	if status := p.run(t.Context(), nil); status != exitUsage || out.Len() > 0 || !strings.Contains(errs.String(), "-subscription") {
		t.Errorf("run() = %d and wrote %q, %q, want %d and what is missing", status, out.String(), errs.String(), exitUsage)
	}
}

// TestReadme has the README show what the example shows, and name every flag
// that there is.
func TestReadme(t *testing.T) {
	t.Parallel()
	page := readme.Open(t, "README.md")
	page.Shows(readme.Output(t, "example_test.go"))
	var help strings.Builder
	if _, err := parse([]string{"-h"}, &help, noon); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	page.NamesFlags(help.String())
}
