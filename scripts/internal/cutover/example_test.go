package cutover

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/testkit/readme"
)

// Import a cohort of which one customer was imported before, and one has linked since.
func Example() {
	ctx, at := context.Background(), time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	row := func(user string) string {
		return fmt.Sprintf(`{"userId":%q,"region":"EU","clientId":"amzn1.application-oa2-client.1","refreshToken":"Atzr|fake-%s"}`, user, user)
	}
	store := grantmem.New()
	for user, id := range map[string]string{"u-1": grant.ID(alexa.EU, "default", "Atzr|fake-u-1"), "u-2": "linked-since"} {
		_, err := grant.Change(ctx, store, grant.Key{Skill: "default", UserID: user}, func(r *grant.Record) error {
			r.Link(id, alexa.EU, "", grant.Tokens{RefreshToken: []byte("sealed")}, at)
			return nil
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	keyset, err := seal.NewKeyset()
	if err != nil {
		fmt.Println(err)
	}
	os.Setenv("EXAMPLE_KEYSET", keyset.Reveal())
	os.Setenv("EXAMPLE_CREDENTIALS", `{"client_id":"amzn1.application-oa2-client.1","client_secret":"fake"}`)
	rows := []string{row("u-1"), row("u-2"), row("u-3"), row("u-4"), row("u-4"), strings.Replace(row("u-5"), "EU", "NA", 1)}
	env := &cli.Env{
		Stdin:  strings.NewReader(strings.Join(rows, "\n")),
		Stdout: os.Stdout, Stderr: os.Stderr, Now: func() time.Time { return at },
		OpenGrants: func(context.Context, string, string) (grant.Admin, func() error, error) {
			return store, func() error { return nil }, nil
		},
	}
	cli.Run(ctx, env, new(grammar), []string{
		"import", "--region=EU", "--keyset=env:EXAMPLE_KEYSET", "--credentials=env:EXAMPLE_CREDENTIALS", "--for-real", "-",
	})
	// Output:
	// read                 6
	// invalid              0
	// of other regions     1
	// duplicate            1
	// imported             2
	// already there        1
	// newer kept           1
	// refused              0
	// proven               2 of 4 customers have a proven grant
	// first refreshes      at most 50 a second, until 2026-01-02T12:00:00.060Z
	// later refreshes      0.0 a second
}

// TestReadme has the page show the example and the arithmetic of the command.
func TestReadme(t *testing.T) {
	t.Parallel()
	page := readme.Open(t, "README.md")
	page.Shows(readme.Output(t, "example_test.go"))
	page.Shows(fmt.Sprintf("every %.0f seconds", grant.RefreshCycle.Seconds()))
	page.Names("userId", "region", "clientId", "refreshToken", "accessToken", "expiry")
}

// TestFile reads a file, and shows on a terminal how far it is.
func TestFile(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	path := filepath.Join(t.TempDir(), "rows")
	if err := os.WriteFile(path, []byte(strings.Repeat(line("u-1")+"\n", 4)), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]struct {
		status int
		says   string
	}{
		path:                     {cli.StatusDone, "3 rows, 0/s, 75%, 2s left"},
		path + "/canary":         {cli.StatusUsage, "<file|->: not a directory"},
		`{"userId":"canary"}`:    {cli.StatusUsage, "<file|->: no such file"},
		filepath.Dir(path) + "/": {cli.StatusFailed, "after line 0: read "},
	} {
		var out, errs strings.Builder
		var seconds atomic.Int64
		env := &cli.Env{Stdout: &out, Stderr: &errs, Terminal: true}
		env.Now = func() time.Time { return time.Unix(seconds.Add(2), 0) }
		env.OpenGrants = func(context.Context, string, string) (grant.Admin, func() error, error) {
			return s.store, func() error { return nil }, nil
		}
		status := cli.Run(t.Context(), env, new(grammar), s.args(file))
		s.public(out.String() + errs.String())
		if status != want.status || !strings.Contains(errs.String(), want.says) {
			t.Errorf("%s: status %d and %q, want %d and %q", file, status, errs.String(), want.status, want.says)
		}
	}
}
