package cutover

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/firestore"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/sweep"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
	"github.com/gatepostdev/gatepost/shared/testkit/emulator"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// asProgram in the environment makes the test binary the program itself.
const asProgram = "CUTOVER_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		cli.Main("test", new(grammar))
	}
	testkit.Main(m)
}

// grammar is the part of the command line that is tested.
type grammar struct {
	Import Command `cmd:"" secretive:""`
}

// stack is a stack for the EU.
type stack struct {
	*testing.T
	store   grant.Admin
	now     func() time.Time
	project string
	flags   []string
	sealer  *seal.Sealer
}

func newStack(t *testing.T) *stack {
	t.Helper()
	keyset, text := testkit.Keyset(t)
	sealer, err := seal.New(text)
	if err != nil {
		t.Fatal(err)
	}
	client := simulator.DefaultClient()
	credentials := filepath.Join(t.TempDir(), "credentials")
	both := fmt.Sprintf(`[{"client_id":%q,"client_secret":"fake-canary"},{"client_id":"other","client_secret":"fake-canary"}]`, client.ID)
	if err := os.WriteFile(credentials, []byte(both), 0o600); err != nil {
		t.Fatal(err)
	}
	return &stack{
		T: t, store: grantmem.New(), now: time.Now, project: "p", sealer: sealer,
		flags: []string{"--region=EU", "--keyset=file:" + keyset, "--credentials=file:" + credentials},
	}
}

// args returns the arguments of the command.
func (s *stack) args(more ...string) []string {
	return slices.Concat([]string{"import", "--project", s.project}, s.flags, more)
}

// run imports rows, from standard input unless they are a file, which must end with the
// status. No token may be shown.
func (s *stack) run(ctx context.Context, status int, rows io.Reader, more ...string) (got result, stderr string) {
	s.Helper()
	var out, errs bytes.Buffer
	env := &cli.Env{Stdin: rows, Stdout: &out, Stderr: &errs, Now: s.now}
	env.OpenGrants = func(context.Context, string, string) (grant.Admin, func() error, error) {
		return s.store, func() error { return nil }, nil
	}
	input := "-"
	if file, ok := rows.(*os.File); ok {
		input = file.Name()
	}
	ended := cli.Run(ctx, env, new(grammar), s.args(append(more, "--json", input)...))
	s.public(out.String() + errs.String())
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || ended != status {
		s.Fatalf("%q: status %d, %v, %q; want %d", more, ended, err, errs.String(), status)
	}
	got.Rate = 0
	return got, errs.String()
}

// dueless returns a result without the time of the last refresh.
func dueless(r result) result {
	r.LastDue = time.Time{}
	return r
}

// public fails the test if a text has a secret.
func (s *stack) public(text string) {
	s.Helper()
	if strings.Contains(text, "canary") {
		s.Errorf("a secret is shown: %.500s", text)
	}
}

// line returns a row of a customer, with a token of the same name.
func line(user string) string {
	const format = `{"userId":%q,"region":"EU","clientId":%q,"refreshToken":"Atzr|fake-canary-%s"}`
	return fmt.Sprintf(format, user, simulator.DefaultClient().ID, user)
}

func rows(lines ...string) io.Reader { return strings.NewReader(strings.Join(lines, "\n")) }

// TestInvalidRows wants the line, the field and what is allowed, and no token.
func TestInvalidRows(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	long := strings.Repeat("canary", 400)
	for _, test := range []struct{ old, new, says string }{
		{`{`, `canary{`, "want a JSON object with userId, region, refreshToken and clientId"},
		{`}`, `,"canary":1}`, "and nothing else"},
		{`}`, `}"canary"`, "and nothing else"},
		{line("u-1"), `"canary"`, "want a JSON object"},
		{`"u-1"`, `7`, "userId: want a string"},
		{`"u-1"`, `""`, "userId: missing"},
		{`"EU"`, `"canary"`, "region: want NA, EU or FE"},
		{`"Atzr|fake-canary-u-1"`, `["canary"]`, "refreshToken: want a string"},
		{`"Atzr|fake-canary-u-1"`, `null`, "refreshToken: missing"},
		{`Atzr|`, `canary `, "refreshToken: want at most 2048 characters and no spaces"},
		{`Atzr|`, long, "refreshToken: want at most 2048 characters"},
		{`}`, `,"accessToken":"` + long + `","expiry":"2026-01-02T03:04:05Z"}`, "accessToken: want at most 2048 characters"},
		{`}`, `,"accessToken":"canary"}`, "accessToken, expiry: give both or neither"},
		{`}`, `,"accessToken":"canary","expiry":"canary"}`, "expiry: want a time like 2026-01-02T15:04:05Z"},
		{simulator.DefaultClient().ID, "canary", "clientId: want the client of --credentials, " + simulator.DefaultClient().ID + " or other"},
		{`"u-1"`, `"u-2"`, "refreshToken: want one that no other customer has"},
	} {
		wrong := strings.Replace(line("u-1"), test.old, test.new, 1)
		got, stderr := s.run(t.Context(), cli.StatusFailed, rows(line("u-1"), "", wrong))
		if got.Read != 2 || got.Invalid != 1 || !strings.Contains(stderr, "gatepost import: line 3: ") || !strings.Contains(stderr, test.says) {
			t.Errorf("%.200s: %+v and %q, want one invalid row and %q", wrong, got, stderr, test.says)
		}
	}
	many := strings.Repeat("{}\n", 1000)
	got, stderr := s.run(t.Context(), cli.StatusFailed, strings.NewReader(many))
	if got.Invalid != 1000 || strings.Count(stderr, "\n") != maxFaults+2 {
		t.Errorf("%d rows are invalid, and it said %q", got.Invalid, stderr)
	}
	for input, says := range map[string]string{
		"\n": "there are no rows", strings.Repeat("canary", maxLine): "line 1: longer than 65536 bytes",
	} {
		if _, stderr := s.run(t.Context(), cli.StatusFailed, strings.NewReader(input)); !strings.Contains(stderr, says) {
			t.Errorf("it said %q, want %q", stderr, says)
		}
	}
}

// TestStoredGrants has customers with grants: none of these changes.
func TestStoredGrants(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	link := func(user string, region alexa.Region, edit func(r *grant.Record)) {
		_, err := grant.Change(t.Context(), s.store, accesstest.Key(user), func(r *grant.Record) error {
			r.Link("a", region, "", grant.Tokens{RefreshToken: []byte("sealed"), ExpiresAt: time.Now()}, time.Now())
			edit(r)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	as := func(*grant.Record) {}
	link("linked", alexa.EU, as)
	link("elsewhere", alexa.NA, as)
	link("doubted", alexa.EU, func(r *grant.Record) { r.RefreshRefused("a", grant.ReasonRefreshRefused, time.Now()) })
	link("unlinked", alexa.EU, func(r *grant.Record) { r.Revoke("a", grant.ReasonInvalidGrant, time.Now()) })
	link("full", alexa.NA, func(r *grant.Record) {
		for i := range grant.MaxGrants - 1 {
			r.Link(fmt.Sprint(i), alexa.NA, fmt.Sprint(i), grant.Tokens{}, time.Now())
		}
	})
	link("stale", alexa.EU, func(r *grant.Record) {
		r.Remove("a", time.Now())
		r.Import("of another file", alexa.EU, grant.Tokens{RefreshToken: []byte("sealed")}, time.Now())
	})
	users := []string{"linked", "elsewhere", "doubted", "unlinked", "stale", "full", "new"}
	var lines []string
	before := make(map[string]grant.Record)
	for _, user := range users {
		lines = append(lines, line(user))
		before[user], _ = s.store.Read(t.Context(), accesstest.Key(user))
	}
	second := strings.Replace(line("new"), "canary-new", "canary-of-another-account", 1)
	lines = append(lines, second, line("new"))
	got, _ := s.run(t.Context(), cli.StatusDone, rows(lines...), "--for-real")
	expect.Equal(t, "result", result{Read: 9, Duplicate: 1, Imported: 6, Kept: 2, Customers: 7, Proven: 1}, dueless(got))
	for _, user := range users {
		now, err := s.store.Read(t.Context(), accesstest.Key(user))
		if err != nil {
			t.Fatal(err)
		}
		for id, was := range before[user].Grants {
			expect.Equal(t, "grant "+id+" of "+user, was, now.Grants[id])
		}
		expect.Equal(t, "announcements of "+user, before[user].Announce, now.Announce)
	}
	got, _ = s.run(t.Context(), cli.StatusDone, rows(lines...), "--for-real")
	expect.Equal(t, "result of a second run", result{Read: 9, Duplicate: 1, There: 6, Kept: 2, Customers: 7, Proven: 1}, got)
}

// TestProof imports what the simulator knows: the sweep and an event refresh the
// grants, which proves them, and a customer who is gone is not proven.
func TestProof(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	s := newStack(t)
	s.now, s.store, w.Sealer = w.Now, w.Store.(grant.Admin), s.sealer
	row := func(user string, withAccess bool) string {
		token, err := w.LWA.Exchange(t.Context(), w.Sim.Code(alexa.EU, "amzn-"+user))
		if err != nil {
			t.Fatal(err)
		}
		fields := map[string]string{
			"userId": user, "region": "EU", "clientId": token.ClientID, "refreshToken": token.RefreshToken.Reveal(),
		}
		if withAccess {
			fields["accessToken"], fields["expiry"] = token.AccessToken.Reveal(), alexa.FormatTime(token.ExpiresAt)
		}
		text, _ := json.Marshal(fields)
		return string(text)
	}
	all := []string{row("swept", false), row("with-access", true), row("used", false), line("gone")}
	if got, _ := s.run(t.Context(), cli.StatusDone, rows(all...)); got.Imported != 4 || !got.DryRun {
		t.Errorf("a dry run would import %+v, want 4 rows", got)
	}
	if n, err := w.Store.CountCustomers(t.Context()); n != 0 || err != nil {
		t.Fatalf("a dry run stored %d customers (%v)", n, err)
	}
	if got, _ := s.run(t.Context(), cli.StatusDone, rows(all...), "--for-real", "--rate=1"); got.Imported != 4 || got.Proven != 0 ||
		!got.LastDue.Equal(w.Now().Add(3*time.Second)) {
		t.Errorf("it imported %+v, want 4 rows, none proven, the last due after 3 s", got)
	}
	tokens := w.Process("p")
	for user, refreshed := range map[string]bool{"with-access": false, "used": true} {
		record := w.Read(t, user)
		for id := range record.Grants {
			if token, err := tokens.Token(t.Context(), record, id); err != nil || token.Renewed != refreshed {
				t.Errorf("%s: refreshed for an event = %t, %v, want %t", user, token.Renewed, err, refreshed)
			}
		}
	}
	w.Forward(3 * time.Second)
	sweeper := sweep.Sweeper{
		Store: w.Store, Tokens: tokens, Brake: w.Brake(), Announce: w.Announcer(), Now: w.Now, Period: sweep.DefaultPeriod,
	}
	if counts, err := sweeper.Sweep(t.Context(), sweep.Buckets(0, 1)); counts.Refreshed != 2 || counts.Refused != 1 || err != nil {
		t.Errorf("the sweep refreshed %+v (%v), want 2 and one refusal", counts, err)
	}
	got, _ := s.run(t.Context(), cli.StatusDone, rows(all...))
	expect.Equal(t, "progress", result{DryRun: true, Read: 4, There: 3, Refused: 1, Customers: 4, Proven: 3}, got)
	// A second Amazon account of a customer is a row beside the first; alone it is older
	// than what is stored.
	two := result{DryRun: true, Read: 5, Imported: 1, There: 3, Refused: 1, Customers: 4, Proven: 3}
	got, _ = s.run(t.Context(), cli.StatusDone, rows(append(all, line("swept"))...))
	expect.Equal(t, "two accounts", two, dueless(got))
	file, err := os.Create(filepath.Join(t.TempDir(), "rows"))
	if err != nil {
		t.Fatal(err)
	}
	gap := strings.Repeat("\n", 100_000) // the store answers for the first row in the meantime
	_, wrong := io.Copy(file, rows(append([]string{line("swept"), gap}, all...)...))
	if err := errors.Join(wrong, file.Close()); err != nil {
		t.Fatal(err)
	}
	got, _ = s.run(t.Context(), cli.StatusDone, file)
	expect.Equal(t, "two accounts, the stored one last in a file", two, dueless(got))
	got, _ = s.run(t.Context(), cli.StatusDone, rows(line("swept")))
	expect.Equal(t, "an older token", result{DryRun: true, Read: 1, Kept: 1, Customers: 1, Proven: 1}, got)
}

// creating is a store that calls do before it creates its n-th record.
type creating struct {
	grant.Admin
	mu   sync.Mutex
	dues []time.Time // of the records
	do   func(n int)
}

func (c *creating) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dues = append(c.dues, now.RefreshDue)
	c.do(len(c.dues))
	return c.Admin.Write(ctx, was, now)
}

var size = flag.Int("rows", 10_000, "rows of the import that is interrupted")

// TestInterrupted interrupts an import of many rows, and lets a customer link in the
// meantime. Each row is imported once, and the first refreshes of both runs together are
// at the rate that is allowed.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	const rate = 40
	n := *size / 1000 * 1000
	var text bytes.Buffer
	for i := range n {
		user, region := fmt.Sprint("u-", i), alexa.EU
		switch i % 1000 {
		case 1:
			user = fmt.Sprint("u-", i-1)
		case 2:
			user = ""
		case 3:
			region = alexa.FE
		}
		text.WriteString(strings.Replace(line(user), "EU", string(region), 1) + "\n")
	}
	s := newStack(t)
	clock := accesstest.NewClock()
	s.now = clock.Now
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	inner, until := s.store, n/2
	store := &creating{Admin: inner, do: func(n int) {
		if n == until {
			interrupt()
		}
	}}
	s.store = store
	args := []string{"--for-real", fmt.Sprint("--rate=", rate)}
	first, stderr := s.run(ctx, cli.StatusFailed, bytes.NewReader(text.Bytes()), args...)
	stored, err := s.store.CountCustomers(t.Context())
	if err != nil || !first.Interrupted || first.Imported != stored || stored < until || stored > until+concurrent ||
		first.Read != first.Invalid+first.Elsewhere+first.Duplicate+first.Imported ||
		!strings.Contains(stderr, fmt.Sprint("interrupted after line ", first.Read)) {
		t.Errorf("interrupted at write %d: %+v and %q, and %d records are stored", until, first, stderr, stored)
	}
	clock.Forward(time.Minute)
	key := accesstest.Key(fmt.Sprint("u-", n-1))
	linked, err := grant.Change(t.Context(), inner, key, func(r *grant.Record) error {
		r.Link("new", alexa.EU, "", grant.Tokens{RefreshToken: []byte("sealed")}, clock.Now())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	second, _ := s.run(t.Context(), cli.StatusFailed, bytes.NewReader(text.Bytes()), args...)
	customers := n - 3*n/1000
	expect.Equal(t, "result of the second run", result{
		Read: n, Invalid: n / 1000, Elsewhere: n / 1000, Duplicate: n / 1000,
		Imported: customers - 1 - first.Imported, There: first.Imported, Kept: 1, Customers: customers, Proven: 1,
	}, dueless(second))
	kept, err := s.store.Read(t.Context(), key)
	expect.Equal(t, "the record of the customer who linked", linked, kept)
	if stored, _ = s.store.CountCustomers(t.Context()); stored != customers || len(store.dues) != customers-1 || err != nil {
		t.Errorf("%d records are stored by %d writes (%v), want %d", stored, len(store.dues), err, customers)
	}
	slices.SortFunc(store.dues, time.Time.Compare)
	for i := range store.dues[rate:] {
		if store.dues[i+rate].Sub(store.dues[i]) < time.Second {
			t.Fatalf("more than %d first refreshes are due in the second after %v", rate, store.dues[i])
		}
	}
}

// reading is an input.
type reading func(p []byte) (int, error)

func (r reading) Read(p []byte) (int, error) { return r(p) }

// TestProducerInterrupted ends the input together with the run, as Ctrl-C does to both
// sides of a pipe. The input is slower than the rate.
func TestProducerInterrupted(t *testing.T) {
	t.Parallel()
	s, clock := newStack(t), accesstest.NewClock()
	s.now = clock.Now
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	left := rows(line("u-1"), "")
	got, stderr := s.run(ctx, cli.StatusFailed, reading(func(p []byte) (int, error) {
		n, err := left.Read(p)
		if err == nil {
			clock.Forward(time.Minute)
		} else {
			interrupt()
		}
		return n, err
	}))
	if !got.Interrupted || got.Imported != 1 || !got.LastDue.Equal(clock.Now()) || !strings.HasSuffix(stderr, "line 1; run it again\n") {
		t.Errorf("%+v and %q, want one row, due now, and an interruption", got, stderr)
	}
}

// lossy is a store that loses the answer to each record's first write, so that the
// client library's retry conflicts with it.
type lossy struct{ grant.Admin }

func (l lossy) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	if _, err := l.Admin.Write(ctx, was, now); err != nil || was.Stored() {
		return grant.Record{}, errors.Join(err, errors.New("written twice"))
	}
	return grant.Record{}, grant.ErrConflict
}

// TestLostAnswer counts a row that is imported although the store says otherwise. An
// error of the store ends the run.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	inner := s.store
	s.store = lossy{inner}
	if got, _ := s.run(t.Context(), cli.StatusDone, rows(line("u-1")), "--for-real"); got.Imported != 1 || got.There != 0 {
		t.Errorf("%+v, want one row imported", got)
	}
	s.store = failing{inner}
	got, stderr := s.run(t.Context(), cli.StatusFailed, rows(line("u-1"), line("u-2")), "--for-real")
	if got.Read == 0 || got.Interrupted || !strings.Contains(stderr, "out of order; run it again: rows that are stored are not") {
		t.Errorf("%+v and %q, want the store's error", got, stderr)
	}
}

// failing is a store that fails.
type failing struct{ grant.Admin }

func (failing) Read(context.Context, grant.Key) (grant.Record, error) {
	return grant.Record{}, errors.New("out of order")
}

// TestKilled kills the program in the midst of its rows, and counts the calls of the next
// run: a read for each row, and a write for each that is imported.
func TestKilled(t *testing.T) {
	t.Parallel()
	const n, first = 300, 100
	s := newStack(t)
	p := cloud.Project{ID: emulator.Project(), FirestoreHost: emulator.Firestore(t)}
	s.project = p.ID
	var reads, writes atomic.Int64
	calls := cloud.Calls(func(method string) {
		if strings.HasSuffix(method, "/Commit") {
			writes.Add(1)
		} else {
			reads.Add(1)
		}
	})
	s.store = grantfire.New(p.Database(t, firestore.DefaultDatabaseID, calls...))
	var lines []string
	for i := range n {
		lines = append(lines, line(fmt.Sprint("u-", i)))
	}

	program := exec.CommandContext(testkit.Context(t), os.Args[0], s.args("--for-real", "-")...)
	program.Env = append(os.Environ(), asProgram+"=1", "FIRESTORE_EMULATOR_HOST="+p.FirestoreHost)
	var wrote bytes.Buffer
	program.Stdout, program.Stderr = &wrote, &wrote
	stdin, err := program.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(stdin, strings.Join(lines[:first], "\n")+"\n"); err != nil {
		t.Fatal(err)
	}
	for stored := 0; stored < first; {
		if stored, err = s.store.CountCustomers(testkit.Context(t)); err != nil || program.ProcessState != nil {
			t.Fatal(err, wrote.String())
		}
	}
	if err := program.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = program.Wait()
	s.public(wrote.String())

	for _, run := range []struct {
		flags         []string
		want          result
		reads, writes int64
	}{
		{[]string{"--for-real"}, result{Imported: n - first, There: first}, n, n - first},
		{nil, result{DryRun: true, There: n}, n, 0},
	} {
		reads.Store(0)
		writes.Store(0)
		got, _ := s.run(t.Context(), cli.StatusDone, rows(lines...), run.flags...)
		run.want.Read, run.want.Customers = n, n
		expect.Equal(t, fmt.Sprintf("result of a run with %q", run.flags), run.want, dueless(got))
		if reads.Load() != run.reads || writes.Load() != run.writes {
			t.Errorf("with %q: %d reads and %d writes, want %d and %d", run.flags, reads.Load(), writes.Load(), run.reads, run.writes)
		}
	}
}
