package main

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/secret"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// someID is the id of some record.
var someID = key("u-1").ID()

func TestParse(t *testing.T) {
	t.Parallel()
	keyset, err := secret.ParseRef("env:KEYSET")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args string
		want options
	}{
		{"show", "show u-1", options{command: "show", key: key("u-1")}},
		{"where", "show -project p -database d -skill s -json u-1", options{
			command: "show", project: "p", database: "d", key: grant.Key{Skill: "s", UserID: "u-1"}, json: true,
		}},
		{"user like a flag", "show -- -u", options{command: "show", key: key("-u")}},
		{"restore", "restore u-1", options{command: "restore", key: key("u-1")}},
		{"restore a grant", "restore u-1 g-1", options{command: "restore", key: key("u-1"), grantID: "g-1"}},
		{"restore since", "restore -revoked-since 2h", options{command: "restore", key: key(""), revokedSince: noon.Add(-2 * time.Hour)}},
		{"restore between", "restore -for-real -revoked-since 2026-01-02T12:00:00+01:00 -revoked-until 2026-01-02T11:30:00Z -after " + someID, options{
			command: "restore", key: key(""), forReal: true, after: someID,
			revokedSince: time.Date(2026, 1, 2, 12, 0, 0, 0, time.FixedZone("", 3600)), revokedUntil: noon.Add(-30 * time.Minute),
		}},
		{"probe", "probe u-1", options{command: "probe", key: key("u-1")}},
		{"probe all", "probe -for-real -after " + someID, options{command: "probe", key: key(""), forReal: true, after: someID}},
		{"erase", "erase -for-real u-1", options{command: "erase", key: key("u-1"), forReal: true}},
		{"brake", "brake", options{command: "brake", key: key("")}},
		{"brake on", "brake -database d on", options{command: "brake", database: "d", key: key(""), brake: "on"}},
		{"brake off", "brake -json off", options{command: "brake", key: key(""), brake: "off", json: true}},
		{"reseal", "reseal -keyset env:KEYSET -for-real -after " + someID, options{
			command: "reseal", key: key(""), keyset: keyset, forReal: true, after: someID,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			want := test.want
			if want.database == "" {
				want.database = "(default)"
			}
			got, err := parse(strings.Fields(test.args), io.Discard, noon)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(options{}), cmp.Comparer(func(a, b secret.Ref) bool { return a == b })); diff != "" {
				t.Errorf("parse() differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args []string
		says string
	}{
		{"no command", nil, "show"},
		{"unknown command", []string{"delete", "u-1"}, "erase"},
		{"no user", []string{"show"}, "USER"},
		{"empty user", []string{"erase", ""}, "USER"},
		{"empty grant", []string{"restore", "u-1", ""}, "GRANT"},
		{"two users", []string{"show", "u-1", "u-2"}, "u-2"},
		{"flag after the user", []string{"erase", "u-1", "-for-real"}, "flags go before"},
		{"flag for a grant", []string{"restore", "u-1", "-json"}, "flags go before"},
		{"flag of another command", []string{"show", "-for-real", "u-1"}, "-for-real"},
		{"skill of a keyset", []string{"reseal", "-skill", "s", "-keyset", "env:K"}, "-skill"},
		{"user and all", []string{"restore", "-revoked-since", "2h", "u-1"}, "not both"},
		{"neither user nor all", []string{"restore"}, "USER"},
		{"until alone", []string{"restore", "-revoked-until", "2h", "u-1"}, "-revoked-since"},
		{"after alone", []string{"restore", "-after", someID, "u-1"}, "-revoked-since"},
		{"no time between", []string{"restore", "-revoked-since", "1h", "-revoked-until", "2h"}, "not before"},
		{"time", []string{"restore", "-revoked-since", "yesterday"}, "2h"},
		{"time to come", []string{"restore", "-revoked-since", "-2h"}, "2h"},
		{"no keyset", []string{"reseal"}, "-keyset"},
		{"keyset for its reference", []string{"reseal", "-keyset", `{"primaryKeyId":"canary"}`}, "-keyset: secret reference"},
		{"probe user after", []string{"probe", "-after", someID, "u-1"}, "not both"},
		{"probe a grant", []string{"probe", "u-1", "g-1"}, "g-1"},
		{"after what", []string{"reseal", "-keyset", "env:K", "-after", "u-1"}, "64"},
		{"brake of a skill", []string{"brake", "-skill", "s"}, "-skill"},
		{"brake as", []string{"brake", "loose"}, "want on, off"},
		{"brake on what", []string{"brake", "on", "u-1"}, "u-1"},
		{"brake, flag after on", []string{"brake", "on", "-json"}, "flags go before"},
		{"brake, empty", []string{"brake", ""}, "on|off"},
		{"user to reseal", []string{"reseal", "-keyset", "env:K", "u-1"}, "u-1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(test.args, io.Discard, noon)
			if err == nil || errors.Is(err, flag.ErrHelp) || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "canary") {
				t.Errorf("parse(%q) = %v, want an error that says %q", test.args, err, test.says)
			}
			var out, errs strings.Builder
			p := &program{stdout: &out, stderr: &errs, now: time.Now}
			if status := p.run(t.Context(), test.args); status != exitUsage || out.Len() > 0 || !strings.Contains(errs.String(), "-h lists the flags") {
				t.Errorf("run(%q) = %d and wrote %q, %q", test.args, status, out.String(), errs.String())
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args string
		want []string
		none []string
	}{
		{"-h", []string{"show [flags] USER\n", "restore [flags] USER [GRANT]\n", "erase [flags] USER\n", "probe [flags] [USER]\n", "brake [flags] [on|off]\n", "reseal [flags]\n", "-keyset"}, nil},
		{"erase -h", []string{"erase [flags] USER\n", "-project", "-database", "-skill", "-json", "-for-real"}, []string{"-keyset", "-after", "restore"}},
	} {
		var out, errs strings.Builder
		p := &program{stdout: &out, stderr: &errs, now: time.Now}
		if status := p.run(t.Context(), strings.Fields(test.args)); status != exitOK || errs.Len() > 0 {
			t.Errorf("run(%s) = %d and wrote %q", test.args, status, errs.String())
		}
		for _, text := range test.want {
			if !strings.Contains(out.String(), text) {
				t.Errorf("%s says nothing of %s", test.args, text)
			}
		}
		for _, text := range test.none {
			if strings.Contains(out.String(), "\n  "+text) {
				t.Errorf("%s lists %s", test.args, text)
			}
		}
	}
}
