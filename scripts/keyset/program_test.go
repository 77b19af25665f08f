package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// asProgram in the environment makes the test binary the program itself.
const asProgram = "KEYSET_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// ran is how the program ended and what it wrote.
type ran struct {
	status         int
	stdout, stderr string
}

// run runs the program in a process of its own, in a directory, and looks
// through what it wrote for the keys in the file keyset.json there, before and
// after.
func run(t *testing.T, dir string, args ...string) ran {
	t.Helper()
	forbidden := material(t, dir)
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), asProgram+"=1")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			t.Fatal(err)
		}
	}
	got := ran{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	for _, secret := range append(forbidden, material(t, dir)...) {
		if strings.Contains(got.stdout+got.stderr, secret) {
			t.Errorf("%q shows a key: %+v", args, got)
		}
	}
	return got
}

const fileName = "keyset.json"

// read returns the keyset in a directory, empty if there is none.
func read(t *testing.T, dir string) sensitive.String {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return sensitive.New(string(text))
}

// material is the secret parts of the keyset in a directory.
func material(t *testing.T, dir string) []string {
	t.Helper()
	var parts []string
	for part := range strings.SplitSeq(read(t, dir).Reveal(), `"`) {
		if len(part) > 40 && !strings.Contains(part, "googleapis") {
			parts = append(parts, part)
		}
	}
	return parts
}

func keysIn(t *testing.T, dir string) []seal.Key {
	t.Helper()
	keys, err := seal.Keys(read(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestLifeOfAKeyset makes, rotates and shortens a keyset, and opens what its
// keys have sealed.
func TestLifeOfAKeyset(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const ref = "file:" + fileName
	token, place := sensitive.New("Atzr|fake"), seal.Place{Customer: "c", Grant: "g", Field: "refreshToken"}
	var sealed [][]byte
	sealOne := func() {
		sealer, err := seal.New(read(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		one, err := sealer.Seal(token, place)
		if err != nil {
			t.Fatal(err)
		}
		sealed = append(sealed, one)
	}
	wantOpen := func(want string) {
		t.Helper()
		sealer, err := seal.New(read(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, one := range sealed {
			_, err := sealer.Open(one, place)
			got += map[bool]string{true: "+", false: "-"}[err == nil]
		}
		if got != want {
			t.Errorf("opened %s, want %s", got, want)
		}
	}

	if got := run(t, dir, "create", ref); got.status != exitOK || len(material(t, dir)) != 1 {
		t.Fatalf("create: %+v", got)
	}
	sealOne()
	first := keysIn(t, dir)[0].ID
	if got := run(t, dir, "rotate", ref); got.status != exitOK || len(material(t, dir)) != 2 {
		t.Fatalf("rotate: %+v", got)
	}
	sealOne()
	wantOpen("++")
	second := keysIn(t, dir)[1].ID

	before := read(t, dir)
	for name, args := range map[string][]string{
		"create again":           {"create", ref},
		"remove the primary key": {"remove", ref, fmt.Sprint(second)},
		"remove an unknown key":  {"remove", ref, "0"},
	} {
		if got := run(t, dir, args...); got.status != exitFailed || got.stdout != "" || got.stderr == "" || !read(t, dir).Equal(before) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	shown := run(t, dir, "show", ref)
	if want := fmt.Sprintf("%s\n  %10d  ENABLED    AesGcmKey\n  %10d  ENABLED    AesGcmKey  primary\n", ref, first, second); shown.stdout != want {
		t.Errorf("show (-want +got):\n%s", cmp.Diff(want, shown.stdout))
	}

	if got := run(t, dir, "remove", ref, fmt.Sprint(first)); got.status != exitOK || !strings.Contains(got.stdout, "WARNING") {
		t.Errorf("remove: %+v", got)
	}
	wantOpen("-+")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("files left: %v, %v", entries, err)
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "other"), []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args string
		want int
	}{
		"nothing":                 {"", exitUsage},
		"no such command":         {"canary file:keyset.json", exitUsage},
		"no reference":            {"rotate", exitUsage},
		"two references":          {"rotate file:keyset.json canary", exitUsage},
		"no key":                  {"remove file:keyset.json", exitUsage},
		"not a key":               {"remove file:keyset.json canary", exitUsage},
		"a key too large":         {"remove file:keyset.json 4294967296", exitUsage},
		"not a reference":         {`show {"canary"}`, exitUsage},
		"a variable":              {"rotate env:KEYSET", exitUsage},
		"a certain version":       {"create projects/p/secrets/s/versions/1", exitUsage},
		"no such file":            {"rotate file:missing", exitFailed},
		"not a keyset, to show":   {"show file:other", exitFailed},
		"not a keyset, to rotate": {"rotate file:other", exitFailed},
		"there already":           {"create file:other", exitFailed},
		"help":                    {"-h", exitOK},
		"help with a command":     {"rotate --help", exitOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, dir, strings.Fields(tt.args)...)
			if got.status != tt.want || strings.Contains(got.stdout+got.stderr, "canary") {
				t.Errorf("%+v, want status %d and nothing of the command line's own", got, tt.want)
			}
			if (got.stdout != "") != (tt.want == exitOK) || strings.Count(got.stderr, "\n") != map[bool]int{true: 0, false: 1}[tt.want == exitOK] {
				t.Errorf("%+v, want the result, or one line that says what is wrong", got)
			}
		})
	}
	t.Run("help lists the commands", func(t *testing.T) {
		help := run(t, dir, "-h").stdout
		for name, arguments := range commands {
			if !strings.Contains(help, fmt.Sprintf("\n  %-6s %s ", name, arguments)) {
				t.Errorf("the help does not show %s %s", name, arguments)
			}
		}
	})
}
