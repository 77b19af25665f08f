package main

import (
	"errors"
	"flag"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/secret"
	"github.com/gatepostdev/gatepost/shared/testkit/readme"
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
		{"restore between", "restore -for-real -revoked-since 2026-01-02T12:00:00+01:00 -revoked-until 2026-01-02T11:30:00Z", options{
			command: "restore", key: key(""), forReal: true,
			revokedSince: time.Date(2026, 1, 2, 12, 0, 0, 0, time.FixedZone("", 3600)), revokedUntil: noon.Add(-30 * time.Minute),
		}},
		{"restore after", "restore -revoked-since 2h -after " + someID, options{
			command: "restore", key: key(""), revokedSince: noon.Add(-2 * time.Hour), after: someID,
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
			sameRef := cmp.Comparer(func(a, b secret.Ref) bool { return a == b })
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(options{}), sameRef); diff != "" {
				t.Errorf("parse() differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		says string
	}{
		{nil, "show"},
		{[]string{"delete", "u-1"}, "erase"},
		{[]string{"show"}, "USER"},
		{[]string{"erase", ""}, "USER"},
		{[]string{"restore", "u-1", ""}, "GRANT"},
		{[]string{"show", "u-1", "u-2"}, "u-2"},
		{[]string{"erase", "u-1", "-for-real"}, "flags go before"},
		{[]string{"restore", "u-1", "-json"}, "flags go before"},
		{[]string{"show", "-for-real", "u-1"}, "-for-real"},
		{[]string{"reseal", "-skill", "s", "-keyset", "env:K"}, "-skill"},
		{[]string{"restore", "-revoked-since", "2h", "u-1"}, "not both"},
		{[]string{"restore"}, "USER"},
		{[]string{"restore", "-revoked-until", "2h", "u-1"}, "-revoked-since"},
		{[]string{"restore", "-after", someID, "u-1"}, "-revoked-since"},
		{[]string{"restore", "-revoked-since", "1h", "-revoked-until", "2h"}, "not before"},
		{[]string{"restore", "-revoked-since", "yesterday"}, "2h"},
		{[]string{"restore", "-revoked-since", "-2h"}, "2h"},
		{[]string{"reseal"}, "-keyset"},
		{[]string{"reseal", "-keyset", `{"primaryKeyId":"canary"}`}, "-keyset: secret reference"},
		{[]string{"probe", "-after", someID, "u-1"}, "not both"},
		{[]string{"probe", "u-1", "g-1"}, "g-1"},
		{[]string{"reseal", "-keyset", "env:K", "-after", "u-1"}, "64"},
		{[]string{"brake", "-skill", "s"}, "-skill"},
		{[]string{"brake", "loose"}, "want on, off"},
		{[]string{"brake", "on", "u-1"}, "u-1"},
		{[]string{"brake", "on", "-json"}, "flags go before"},
		{[]string{"brake", ""}, "on|off"},
		{[]string{"reseal", "-keyset", "env:K", "u-1"}, "u-1"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Parallel()
			_, err := parse(test.args, io.Discard, noon)
			if err == nil || errors.Is(err, flag.ErrHelp) {
				t.Fatalf("parse(%q) = %v, want an error", test.args, err)
			}
			if text := err.Error(); !strings.Contains(text, test.says) || strings.Contains(text, "canary") {
				t.Errorf("parse(%q) = %v, want an error that says %q", test.args, err, test.says)
			}
			var out, errs strings.Builder
			p := &program{stdout: &out, stderr: &errs, now: time.Now}
			status := p.run(t.Context(), test.args)
			if status != exitUsage || out.Len() > 0 || !strings.Contains(errs.String(), "-h lists the flags") {
				t.Errorf("run(%q) = %d and wrote %q, %q", test.args, status, out.String(), errs.String())
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	help := func(args ...string) string {
		var out, errs strings.Builder
		p := &program{stdout: &out, stderr: &errs, now: time.Now}
		if status := p.run(t.Context(), args); status != exitOK || errs.Len() > 0 {
			t.Errorf("run(%s) = %d and wrote %q", args, status, errs.String())
		}
		return out.String()
	}
	all, one := help("-h"), help("erase", "-h")
	for name, c := range commands {
		usage := strings.TrimSpace(name+" [flags] "+c.arguments) + "\n"
		if !strings.Contains(all, usage) || strings.Contains(one, usage) != (name == "erase") {
			t.Errorf("the usage of %s is missing, or in that of erase:\n%s\n%s", name, all, one)
		}
	}
	flags := regexp.MustCompile(`(?m)^  (-\S+)`).FindAllString(one, -1)
	if diff := cmp.Diff([]string{"  -database", "  -for-real", "  -json", "  -project", "  -skill"}, flags); diff != "" {
		t.Errorf("flags of erase (-want +got):\n%s", diff)
	}
}

// TestReadmeExample has the README show what the example shows.
func TestReadmeExample(t *testing.T) {
	t.Parallel()
	readme.Open(t, "README.md").Shows(readme.Output(t, "example_test.go"))
}

// TestReadmeCommands has every command in the README be one that the program
// takes, and every command line of the package's documentation too.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	line := regexp.MustCompile(`(?m)^(?:    |//\t)go run ./scripts/grants (.*)$`)
	seen := make(map[string]bool)
	for _, found := range line.FindAllStringSubmatch(readme.Open(t, "README.md").Text+readme.Open(t, "doc.go").Text, -1) {
		text, _, _ := strings.Cut(found[1], "     ") // a remark
		text = strings.NewReplacer(" REF", " env:REF", "projects/P/", "projects/p/").Replace(text)
		o, err := parse(strings.Fields(text), io.Discard, noon.AddDate(0, 1, 0))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		seen[o.command] = true
	}
	for name := range commands {
		if !seen[name] {
			t.Errorf("README.md has no command with %s", name)
		}
	}
}

// TestReadmeFlags has the README name every flag.
func TestReadmeFlags(t *testing.T) {
	t.Parallel()
	var help strings.Builder
	if _, err := parse([]string{"-h"}, &help, noon); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	readme.Open(t, "README.md").NamesFlags(help.String())
}
