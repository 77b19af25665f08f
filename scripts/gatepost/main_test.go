package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

func TestMain(m *testing.M) {
	os.Unsetenv("GOOGLE_CLOUD_PROJECT") // the default of explain --project
	os.Setenv("GOOGLE_APPLICATION_CREDENTIALS", os.DevNull)
	testkit.Main(m)
}

// gatepost runs a command line.
func gatepost(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	env := &cli.Env{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &err, Version: "v1.2.3", Now: time.Now,
		OpenGrants: func(context.Context, string, string) (grant.Admin, func() error, error) {
			return nil, nil, errors.New("a database was opened")
		},
	}
	status = cli.Run(testkit.Context(t), env, new(commands), args)
	return status, out.String(), err.String()
}

var update = flag.Bool("update", false, "write the help of all commands into README.md")

// TestHelpPage compares the README's help of every command with the real one.
// go test ./scripts/gatepost -update writes it.
func TestHelpPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	const mark = "\n## gatepost\n"
	head, _, _ := strings.Cut(string(page), mark)
	want := head + help(t, "gatepost")
	_, list, _ := strings.Cut(want, "\nCommands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for line := range strings.Lines(list) {
		if name, _, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			want += help(t, "gatepost "+name)
		}
	}
	if *update {
		if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(page)); diff != "" {
		t.Errorf("README.md differs; run go test ./scripts/gatepost -update (-want +README.md):\n%s", diff)
	}
}

// help returns the section of the page on a command.
func help(t *testing.T, name string) string {
	t.Helper()
	status, text, stderr := gatepost(t, append(strings.Fields(name)[1:], "--help")...)
	if status != cli.StatusDone || stderr != "" {
		t.Errorf("%s --help: status %d, %q", name, status, stderr)
	}
	return "\n## " + name + "\n\n```\n" + strings.TrimSpace(text) + "\n```\n"
}

// shown finds the commands of a page: lines of a block, and in backquotes.
var (
	shown  = regexp.MustCompile("(?m)^ *(?:\\$ )?(?:[A-Z_]+=[^ ]+ )*(?:go run ./scripts/gatepost|gatepost) ([^|>#`\n]*)")
	quoted = regexp.MustCompile("`(?:go run ./scripts/)?gatepost ([^`]+)`")
)

// TestPages parses every command of every page. Within a sentence a command may lack its
// end.
func TestPages(t *testing.T) {
	t.Parallel()
	commands := 0
	check := func(path, line string, incomplete bool) {
		commands++
		status, complaint := parse(t, strings.Fields(strings.NewReplacer("\\\n", " ", "…", "", "[", "", "]", "").Replace(line)))
		missing := regexp.MustCompile(": expected |missing flags|: give --").MatchString(complaint)
		if status != cli.StatusDone && !(incomplete && missing) {
			t.Errorf("%s: gatepost %s: %s", path, line, complaint)
		}
	}
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" || strings.Contains(path, "testdata") {
			return err
		}
		page, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text := strings.ReplaceAll(string(page), "\\\n", " ")
		for _, found := range shown.FindAllStringSubmatch(text, -1) {
			check(path, found[1], false)
		}
		for _, found := range quoted.FindAllStringSubmatch(text, -1) {
			check(path, found[1], true)
		}
		return nil
	})
	if err != nil || commands < 50 {
		t.Errorf("%d commands were found (%v), want at least 50", commands, err)
	}
}

// parse parses a command line, and returns the complaint about it.
func parse(t *testing.T, args []string) (status int, complaint string) {
	t.Helper()
	var stderr bytes.Buffer
	env := &cli.Env{Stdout: io.Discard, Stderr: &stderr, Now: time.Now, ParseOnly: true}
	return cli.Run(t.Context(), env, new(commands), args), stderr.String()
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if status, stdout, _ := gatepost(t, "--version"); status != cli.StatusDone || stdout != "v1.2.3\n" {
		t.Errorf("--version: status %d, %q", status, stdout)
	}
}

// TestWrongCalls wants one line for each wrong command line, which says what would be
// right.
func TestWrongCalls(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args   string
		status int
		says   string
	}{
		{"", cli.StatusUsage,
			`gatepost: expected one of "local", "lint", "simulator", "explain", "doctor", "grants", "import", "replay", "keyset" (`},
		{"start", cli.StatusUsage, "unexpected argument start"},
		{"-help", cli.StatusUsage, "flags have two dashes: --help"},
		{"--verbose", cli.StatusUsage, "unknown flag --verbose"},
		{"simulator now", cli.StatusUsage, "unexpected argument now"},
		{"simulator --lwa", cli.StatusUsage, "--lwa: "},
		{"simulator --eu=example.com:1", cli.StatusUsage, "add --public if you mean that"},
		{"lint --discovery", cli.StatusUsage, "--discovery: "},
		{"lint --schema events.json", cli.StatusUsage, "--schema takes no files"},
		{"lint missing.json", cli.StatusUsage, "missing.json: no such file"},
		{"lint --discover missing.json", cli.StatusUsage, `did you mean "--discovery"`},
		{"keyset", cli.StatusUsage, `gatepost keyset: expected one of "create", "rotate", "show", "remove"`},
		{"keyset create", cli.StatusUsage, `expected "<ref>"`},
		{"keyset create keyset.json", cli.StatusUsage, "file:PATH"},
		{"keyset create env:KEYSET", cli.StatusUsage, "env:KEYSET"},
		{"keyset remove file:x", cli.StatusUsage, `expected "<keyid>"`},
		{"keyset rotate file:missing.json", cli.StatusFailed, "missing.json"},
		{"local now", cli.StatusUsage, "unexpected argument now"},
		{"local --port=http", cli.StatusUsage, "--port: "},
		{"local -once", cli.StatusUsage, "flags have two dashes: --once"},
		{"explain", cli.StatusUsage, "give --user, --customer, --event or --message"},
		{"explain --user=u-1", cli.StatusUsage, "give --project, or --log"},
		{"explain --log=missing.jsonl --event=e-1", cli.StatusUsage, "missing.jsonl: no such file"},
		{"explain --log=x --customer=u-1", cli.StatusUsage, "--user takes your user id"},
		{"explain --log=x --user=u-1 --around=noon", cli.StatusUsage, "want a time like 2026-01-02T15:04:05Z"},
		{"grants", cli.StatusUsage, "gatepost grants: expected one of"},
		{"grants list", cli.StatusUsage, "unexpected argument list: want show, restore"},
		{"grants show", cli.StatusUsage, `expected "<user>"`},
		{"grants show u-1 u-2", cli.StatusUsage, "unexpected argument u-2"},
		{"grants show u-1 --skill=a --skill=b", cli.StatusUsage, "--skill"},
		{"grants show u-1", cli.StatusFailed, "a database was opened"},
		{"grants show u-1 --local=127.0.0.1:1", cli.StatusFailed, "gatepost grants show: no local run at 127.0.0.1:1 (gatepost local"},
		{"grants restore", cli.StatusUsage, "give USER, your id of the customer, or --revoked-since"},
		{"grants restore --revoked-since=1h --revoked-until=2h", cli.StatusUsage, "--revoked-since is not before --revoked-until"},
		{"grants brake off-ish", cli.StatusUsage, "want on, off, or no argument"},
		{"grants reseal", cli.StatusUsage, "missing flags: --keyset"},
		{"grants show u-1 --project=", cli.StatusUsage, "--project: it is empty"},
		{"grants show u-1 --database=", cli.StatusUsage, "--database: it is empty"},
		{"grants show u-1 --skill=", cli.StatusUsage, "--skill: it is empty"},
		{"explain --user=u-1 --log=x --project=", cli.StatusUsage, "--project: it is empty"},
		{"explain --user=u-1 --log=x --skill=", cli.StatusUsage, "--skill: it is empty"},
		{"import", cli.StatusUsage, "missing flags: --credentials=REF, --keyset=REF, --region=R"},
		{"import --region=EU --keyset=env:K --credentials=env:C", cli.StatusUsage, `expected "<file|->"`},
		{"import --region=EU --keyset=env:K --credentials=env:C missing.jsonl", cli.StatusUsage, "<file|->: no such file or directory"},
		{"import --region=EU --keyset=env:K --credentials=env:C --rate=0 -", cli.StatusUsage, "--rate: want at least 1"},
		{"import --region=US --keyset=env:K --credentials=env:C -", cli.StatusUsage, "want NA, EU or FE"},
		{"import --region=EU --keyset=keyset.json --credentials=env:C -", cli.StatusUsage, "file:PATH"},
		{"import --region=EU --keyset=env:K --credentials=env:C -", cli.StatusFailed, "--keyset: secret env:K: not found"},
		{"import --region=EU --keyset=env:K --credentials=env:C --local -", cli.StatusUsage, "unknown flag --local"},
		{"replay --subscription=s --topic=t --project=", cli.StatusUsage, "--project: it is empty"},
		{"replay", cli.StatusUsage, "missing flags: --subscription=S, --topic=T"},
		{"replay --subscription=s --topic=t --reason=revoked", cli.StatusUsage, "want dead_letter"},
		{"replay --subscription=s --topic=t --region=US", cli.StatusUsage, "NA, EU"},
		{"replay --subscription=projects/p/topics/t --topic=t", cli.StatusUsage, "want an id or projects/P/subscriptions/S"},
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := gatepost(t, strings.Fields(test.args)...)
			if status != test.status || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, test.says) {
				t.Errorf("status %d, %q, %q; want %d and one line with %q", status, stdout, stderr, test.status, test.says)
			}
			if hint := " --help shows the usage)\n"; strings.HasSuffix(stderr, hint) != (status == cli.StatusUsage) {
				t.Errorf("%q; want the hint at the help for wrong usage only", stderr)
			}
		})
	}
}
