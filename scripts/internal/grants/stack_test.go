package grants

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
	"github.com/gatepostdev/gatepost/shared/testkit/emulator"
)

// asProgram in the environment makes the test binary the program itself.
const asProgram = "GRANTS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		cli.Main("test", new(grammar))
	}
	testkit.Main(m)
}

// grammar is the part of the command line that is tested.
type grammar struct {
	Grants Commands `cmd:""`
}

// opens returns a function that opens a store, or fails.
func opens(store grant.Admin, err error) func(context.Context, string, string) (grant.Admin, func() error, error) {
	return func(context.Context, string, string) (grant.Admin, func() error, error) {
		return store, func() error { return nil }, err
	}
}

// onBoth runs a test on a store in memory with the program in this process, and
// on the Firestore emulator with the program in one of its own.
func onBoth(t *testing.T, test func(t *testing.T, s *stack)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, newStack(t))
	})
	t.Run("Firestore", func(t *testing.T) {
		t.Parallel()
		test(t, newEmulated(t))
	})
}

// stack is a store with customers, and a keyset that was rotated.
type stack struct {
	*testing.T
	store     grant.Admin
	host      string // of the emulator, empty for a store in memory
	project   string
	now       func() time.Time
	terminal  bool
	old, both sensitive.String // keysets
	keyset    string           // reference of both
	secrets   []string         // that must never be shown
}

// start is long enough ago for anything to happen since.
var start = time.Now().Add(-time.Hour).Truncate(time.Millisecond).UTC()

func newStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{T: t, store: grantmem.New(), project: "p", now: time.Now}
	s.old = newKeyset(t)
	var err error
	if s.both, err = seal.Rotate(s.old); err != nil {
		t.Fatal(err)
	}
	s.keyset = s.keep("both", s.both)
	s.secrets = []string{"fake-canary", keyMaterial(t, s.old), keyMaterial(t, s.both)}
	return s
}

func newKeyset(t *testing.T) sensitive.String {
	t.Helper()
	_, keyset := testkit.Keyset(t)
	return keyset
}

func newEmulated(t *testing.T) *stack {
	t.Helper()
	s := newStack(t)
	p := cloud.Project{ID: emulator.Project(), FirestoreHost: emulator.Firestore(t)}
	s.host, s.project, s.store = p.FirestoreHost, p.ID, grantfire.New(p.Database(t, firestore.DefaultDatabaseID))
	return s
}

// keep writes a keyset to a file, and returns the reference of it.
func (s *stack) keep(name string, keyset sensitive.String) string {
	s.Helper()
	path := filepath.Join(s.TempDir(), name)
	if err := os.WriteFile(path, []byte(keyset.Reveal()), 0o600); err != nil {
		s.Fatal(err)
	}
	return "file:" + path
}

// keyMaterial returns the last key of a keyset.
func keyMaterial(t *testing.T, keyset sensitive.String) string {
	t.Helper()
	var parsed struct {
		Key []struct {
			KeyData struct{ Value string }
		}
	}
	if err := json.Unmarshal([]byte(keyset.Reveal()), &parsed); err != nil || len(parsed.Key) == 0 {
		t.Fatalf("the keyset has %d keys: %v", len(parsed.Key), err)
	}
	return parsed.Key[len(parsed.Key)-1].KeyData.Value
}

func key(user string) grant.Key { return grant.Key{Skill: "default", UserID: user} }

// link stores a customer with grants whose tokens are sealed by keyset.
func (s *stack) link(key grant.Key, keyset sensitive.String, ids ...string) grant.Record {
	s.Helper()
	return s.change(key, func(r *grant.Record) {
		for _, id := range ids {
			r.Link(id, alexa.EU, grant.AmazonUserHash(id), s.tokens(keyset, key, id, 1), start)
		}
		r.Announced(r.Announce, start)
	})
}

// tokens returns sealed tokens of some version.
func (s *stack) tokens(keyset sensitive.String, key grant.Key, id string, version int) grant.Tokens {
	s.Helper()
	sealer, err := seal.New(keyset)
	if err != nil {
		s.Fatal(err)
	}
	tokens, err := access.Seal(sealer, key, id, lwa.Token{
		AccessToken:  sensitive.New(fmt.Sprintf("Atza|fake-canary-%s-%d", id, version)),
		RefreshToken: sensitive.New(fmt.Sprintf("Atzr|fake-canary-%s-%d", id, version)),
		ExpiresAt:    start.Add(time.Hour), ClientID: "client",
	}, start)
	if err != nil {
		s.Fatal(err)
	}
	return tokens
}

func (s *stack) change(key grant.Key, edit func(*grant.Record)) grant.Record {
	s.Helper()
	record, err := grant.Change(s.Context(), s.store, key, func(r *grant.Record) error { edit(r); return nil })
	if err != nil {
		s.Fatal(err)
	}
	return record
}

// revoke revokes a grant of a customer at a time, and announces it.
func (s *stack) revoke(key grant.Key, id string, at time.Time) grant.Record {
	s.Helper()
	return s.change(key, func(r *grant.Record) {
		r.Revoke(id, grant.ReasonInvalidGrant, at)
		r.Announced(r.Announce, at)
	})
}

// read returns a record, an empty one if there is none.
func (s *stack) read(key grant.Key) grant.Record {
	s.Helper()
	record, err := s.store.Read(s.Context(), key)
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		s.Fatal(err)
	}
	return record
}

// states returns the states of a customer's grants by their ids.
func (s *stack) states(key grant.Key) string {
	s.Helper()
	record := s.read(key)
	var all []string
	for _, id := range byAge(record) {
		all = append(all, id+" "+string(record.Grants[id].State))
	}
	return strings.Join(all, ", ")
}

// run runs the program, and returns its status and what it wrote, which must
// never be a secret.
func (s *stack) run(args ...string) (status int, stdout, stderr string) {
	s.Helper()
	return s.runUntil(s.Context(), args...)
}

// says runs a command line of plain words, which must end with the status and say
// all parts, on standard error if it fails.
func (s *stack) says(status int, line string, parts ...string) (stdout string) {
	s.Helper()
	got, stdout, stderr := s.run(strings.Fields(line)...)
	if got != status || (stderr == "") != (status == cli.StatusDone) {
		s.Errorf("%s: status %d, and it said %q, want %d", line, got, stderr, status)
	}
	for _, part := range parts {
		if !strings.Contains(stdout+stderr, part) {
			s.Errorf("%s: it says nothing of %q: %q and\n%s", line, part, stderr, stdout)
		}
	}
	return stdout
}

// same wants a record to be as it was.
func (s *stack) same(was grant.Record) {
	s.Helper()
	if diff := cmp.Diff(was, s.read(was.Key())); diff != "" {
		s.Errorf("a record has changed (-was +now):\n%s", diff)
	}
}

func (s *stack) runUntil(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	s.Helper()
	args = append([]string{"grants", "--project", s.project}, args...)
	var out, errs bytes.Buffer
	if s.host == "" {
		env := &cli.Env{Stdout: &out, Stderr: &errs, Now: s.now, Terminal: s.terminal, OpenGrants: opens(s.store, nil)}
		status = cli.Run(ctx, env, &grammar{Commands{pageSize: 2}}, args)
	} else {
		cmd := exec.CommandContext(ctx, os.Args[0], args...)
		cmd.Env = append(os.Environ(), asProgram+"=1", "FIRESTORE_EMULATOR_HOST="+s.host)
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
			s.Fatal(err)
		}
		status = cmd.ProcessState.ExitCode()
	}
	for _, secret := range s.secrets {
		if strings.Contains(out.String()+errs.String(), secret) {
			s.Fatalf("%q shows a secret", args)
		}
	}
	return status, out.String(), errs.String()
}

// json runs the program, which must end with the status, and parses what it
// wrote.
func (s *stack) json(want int, into any, args ...string) {
	s.Helper()
	status, stdout, stderr := s.run(append(args, "--json")...)
	if status != want || (stderr == "") != (want == cli.StatusDone) {
		s.Fatalf("%q = %d and said %q, want %d", args, status, stderr, want)
	}
	decode(s, stdout, into)
}

// shows is json for a result that is known, but for fields.
func shows[T any](s *stack, want T, line string, ignored ...cmp.Option) {
	s.Helper()
	var got T
	s.json(cli.StatusDone, &got, strings.Fields(line)...)
	if diff := cmp.Diff(want, got, ignored...); diff != "" {
		s.Errorf("%s (-want +got):\n%s", line, diff)
	}
}

func decode(s *stack, text string, into any) {
	s.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		s.Fatalf("%v in %q", err, text)
	}
}

// meddle has others at work in the store: do is called before its n-th write.
func (s *stack) meddle(do func(n int, key grant.Key) error) {
	s.store = &meddling{Admin: s.store, beforeWrite: do}
}

// meddleOnce has others change the record that is written first.
func (s *stack) meddleOnce(edit func(*grant.Record)) {
	inner := s.store
	s.meddle(func(n int, key grant.Key) error {
		if n > 1 {
			return nil
		}
		_, err := grant.Change(s.Context(), inner, key, func(r *grant.Record) error { edit(r); return nil })
		return err
	})
}

// meddling is a store in which others are at work.
type meddling struct {
	grant.Admin
	mu          sync.Mutex
	beforeWrite func(n int, key grant.Key) error // n counts writes from 1
	writes      int
	afterList   func(*grant.ListPage)
}

func (m *meddling) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(grant.Diff(was, now)) > 0 && m.beforeWrite != nil {
		m.writes++
		if err := m.beforeWrite(m.writes, now.Key()); err != nil {
			return grant.Record{}, err
		}
	}
	return m.Admin.Write(ctx, was, now)
}

func (m *meddling) List(ctx context.Context, after string, limit int) (grant.ListPage, error) {
	page, err := m.Admin.List(ctx, after, limit)
	if m.afterList != nil {
		m.afterList(&page)
	}
	return page, err
}
