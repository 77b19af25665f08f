package grant_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
	"github.com/gatepostdev/gatepost/shared/testkit/granttest"
)

func TestChangeGivesUp(t *testing.T) {
	t.Parallel()
	edit := func(r *grant.Record) error { r.UsedAt = start; return nil }
	conflicts := make([]answer, 20)
	for i := range conflicts {
		conflicts[i] = refuses(fmt.Errorf("wrapped: %w", grant.ErrConflict))
	}
	store := &scripted{Store: grantmem.New(), onWrite: conflicts}
	if _, err := grant.Change(context.Background(), store, key, edit); !errors.Is(err, grant.ErrConflict) || store.writes != 10 {
		t.Errorf("error = %v after %d writes, want ErrConflict", err, store.writes)
	}
	ctx, cancel := context.WithCancel(context.Background())
	store = &scripted{Store: grantmem.New(), onWrite: conflicts}
	_, err := grant.Change(ctx, store, key, func(r *grant.Record) error { cancel(); return edit(r) })
	if !errors.Is(err, context.Canceled) || store.writes != 1 {
		t.Errorf("error when cancelled = %v after %d writes", err, store.writes)
	}
	mine := errors.New("mine")
	if _, err := grant.Change(context.Background(), grantmem.New(), key, func(*grant.Record) error { return mine }); err != mine {
		t.Errorf("error = %v, want edit's", err)
	}
}

func TestChangeFromSavesARead(t *testing.T) {
	t.Parallel()
	behind := grantmem.New()
	was, err := grant.Change(t.Context(), behind, key, link)
	if err != nil {
		t.Fatal(err)
	}
	for i, test := range []struct {
		name  string
		was   grant.Record
		reads int
	}{
		{"a record that was read", was, 0},
		{"a new record", grant.New(grant.Key{Skill: "default", UserID: "u-2"}), 0},
		{"a key", grant.Record{Skill: "default", UserID: "u-1"}, 1},
		{"a stale record", was, 1},
		{"a record that exists by now", grant.New(key), 1},
	} {
		store, used := &scripted{Store: behind}, start.Add(time.Duration(1+i)*time.Second)
		got, err := grant.ChangeFrom(t.Context(), store, test.was, func(r *grant.Record) error { r.Used(used); return nil })
		if err != nil || store.reads != test.reads || !got.UsedAt.Equal(used) {
			t.Errorf("%s: reads = %d, want %d; used at %v, %v", test.name, store.reads, test.reads, got.UsedAt, err)
		}
	}
}

// link adds a grant, once.
func link(r *grant.Record) error {
	r.Link("a", alexa.EU, "", tokens(1), start)
	return nil
}

// answer is one way to answer a write, which do makes.
type answer func(ctx context.Context, do func() (grant.Record, error)) (grant.Record, error)

// scripted is a store with scripted answers to its first writes and reads.
type scripted struct {
	grant.Store
	onWrite       []answer
	onRead        []answer
	reads, writes int
}

func (s *scripted) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	s.writes++
	return s.next(ctx, &s.onWrite, func() (grant.Record, error) { return s.Store.Write(ctx, was, now) })
}

func (s *scripted) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	s.reads++
	return s.next(ctx, &s.onRead, func() (grant.Record, error) { return s.Store.Read(ctx, key) })
}

func (s *scripted) next(ctx context.Context, script *[]answer, do func() (grant.Record, error)) (grant.Record, error) {
	if len(*script) == 0 {
		return do()
	}
	answer := (*script)[0]
	*script = (*script)[1:]
	return answer(ctx, do)
}

var errStore = errors.New("out of order")

func refuses(err error) answer {
	return func(context.Context, func() (grant.Record, error)) (grant.Record, error) { return grant.Record{}, err }
}

// loses makes the write, and returns an error.
func loses(err error) answer {
	return func(_ context.Context, do func() (grant.Record, error)) (grant.Record, error) {
		if _, real := do(); real != nil {
			return grant.Record{}, real
		}
		return grant.Record{}, err
	}
}

func hangs(ctx context.Context, _ func() (grant.Record, error)) (grant.Record, error) {
	<-ctx.Done()
	return grant.Record{}, ctx.Err()
}

func hangsAfterwards(ctx context.Context, do func() (grant.Record, error)) (grant.Record, error) {
	if _, err := do(); err != nil {
		return grant.Record{}, err
	}
	return hangs(ctx, do)
}

// TestPersist makes one change in stores with any answers: it is made once.
func TestPersist(t *testing.T) {
	t.Parallel()
	conflict := fmt.Errorf("wrapped: %w", grant.ErrConflict)
	many := make([]answer, 25) // more than Change's tries
	for i := range many {
		many[i] = refuses(conflict)
	}
	tests := []struct {
		name   string
		writes []answer
		reads  []answer
		most   time.Duration // allowed
	}{
		{"well", nil, nil, 0},
		{"a conflict", []answer{refuses(conflict)}, nil, time.Second},
		{"many conflicts", many, nil, 20 * time.Second},
		{"an error", []answer{refuses(errStore)}, nil, time.Second},
		{"the answer is lost", []answer{loses(errStore)}, nil, time.Second},
		{"the answer is lost and the client tries again", []answer{loses(conflict)}, nil, time.Second},
		{"the answer is lost and the record cannot be read", []answer{loses(errStore)}, []answer{refuses(errStore), refuses(errStore)},
			time.Second},
		{"hangs", []answer{hangs}, nil, 6 * time.Second},
		{"hangs after it was done", []answer{hangsAfterwards}, nil, 6 * time.Second},
		{"a read hangs", []answer{refuses(errStore)}, []answer{hangs}, 6 * time.Second},
		{"everything", []answer{refuses(errStore), hangs, refuses(conflict), hangsAfterwards},
			[]answer{refuses(errStore), hangs, refuses(errStore)}, 18 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				behind := grantmem.New()
				was, err := grant.Change(t.Context(), behind, key, link)
				if err != nil {
					t.Fatal(err)
				}
				store := &scripted{Store: behind, onWrite: test.writes, onRead: test.reads}
				got, err := grant.Persist(t.Context(), store, was, refreshOnce)
				if err != nil {
					t.Fatal(err)
				}
				stored, err := behind.Read(t.Context(), key)
				if err != nil || stored.Grants["a"].TokenVersion != 2 {
					t.Errorf("stored record = %+v, %v", stored, err)
				}
				if diff := cmp.Diff(stored, got); diff != "" {
					t.Errorf("returned record differs (-stored +got):\n%s", diff)
				}
				if took := time.Since(began); took > test.most {
					t.Errorf("Persist took %v, want %v or less", took, test.most)
				}
				if len(store.onWrite)+len(store.onRead) > 0 {
					t.Error("Persist ended before the change was made")
				}
			})
		})
	}
}

// refreshOnce applies a refresh, unless the record has it.
func refreshOnce(r *grant.Record) error {
	if g := r.Grants["a"]; g.TokenVersion == 1 {
		r.Refreshed("a", g, tokens(2), start)
	}
	return nil
}

// TestPersistEnds: only the end of the context or edit's error stops it.
func TestPersistEnds(t *testing.T) {
	t.Parallel()
	mine := errors.New("mine")
	tests := []struct {
		name   string
		answer answer
		edit   func(*grant.Record) error
		want   []error
		took   time.Duration
	}{
		{"errors", refuses(errStore), refreshOnce, []error{errStore, context.DeadlineExceeded}, 12 * time.Second},
		{"conflicts", refuses(grant.ErrConflict), refreshOnce, []error{grant.ErrConflict, context.DeadlineExceeded}, 12 * time.Second},
		{"hangs", hangs, refreshOnce, []error{context.DeadlineExceeded}, 12 * time.Second},
		{"edit", nil, func(*grant.Record) error { return mine }, []error{mine}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
				defer cancel()
				script := make([]answer, 10_000)
				for i := range script {
					script[i] = test.answer
				}
				store, began := &scripted{Store: grantmem.New(), onWrite: script}, time.Now()
				was := grant.New(key)
				if err := link(&was); err != nil {
					t.Fatal(err)
				}
				_, err := grant.Persist(ctx, store, was, test.edit)
				for _, want := range test.want {
					if !errors.Is(err, want) {
						t.Errorf("error = %v, want %v in it", err, want)
					}
				}
				if took := time.Since(began); took != test.took {
					t.Errorf("Persist took %v, want %v", took, test.took)
				}
				// The pauses grow, to spare the store.
				if store.writes > 100 {
					t.Errorf("writes = %d in %v", store.writes, test.took)
				}
			})
		})
	}
}

// TestPersistAgainstFlakyStores: several goroutines persist changes in a store with
// all of Firestore's faults: each change is made once.
func TestPersistAgainstFlakyStores(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				flaky := granttest.Flaky(grantmem.New(), seed, 2)
				var all sync.WaitGroup
				for i := range 6 {
					all.Go(func() {
						_, err := grant.Persist(t.Context(), flaky, grant.New(key), func(r *grant.Record) error {
							r.Link(fmt.Sprint(i), alexa.EU, "", tokens(i), start)
							return nil
						})
						if err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				flaky.Calm()
				r, err := flaky.Read(t.Context(), key)
				if err != nil || len(r.Grants) != 6 || len(r.Announce) != 6 || flaky.Faults() == 0 {
					t.Errorf("grants = %d, announcements = %d after %d faults, %v", len(r.Grants), len(r.Announce), flaky.Faults(), err)
				}
			})
		})
	}
}

// count increments a counter in a control document.
func count(doc map[string]any) (map[string]any, error) {
	n, _ := doc["n"].(int64)
	return map[string]any{"n": n + 1}, nil
}

func TestChangeControlLosesNothing(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 10
	store := grantmem.New()
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				if err := grant.ChangeControl(context.Background(), store, "c", count); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	c, err := store.ReadControl(context.Background(), "c")
	if diff := cmp.Diff(map[string]any{"n": int64(writers * each)}, c.Document); diff != "" || err != nil {
		t.Errorf("error = %v, document differs (-want +got):\n%s", err, diff)
	}
}

// controls is a store that records the writes of control documents, and answers
// them with err.
type controls struct {
	grant.Store
	err    error
	writes []grant.Control // was and now of each
}

func (c *controls) WriteControl(ctx context.Context, was, now grant.Control) (grant.Control, error) {
	c.writes = append(c.writes, was, now)
	if c.err != nil {
		return grant.Control{}, c.err
	}
	return c.Store.WriteControl(ctx, was, now)
}

func TestChangeControl(t *testing.T) {
	t.Parallel()
	store := &controls{Store: grantmem.New()}
	change := func(edit func(map[string]any) (map[string]any, error)) error {
		return grant.ChangeControl(t.Context(), store, "c", edit)
	}
	leave := func(doc map[string]any) (map[string]any, error) {
		if doc != nil {
			t.Errorf("a missing document is %v, want empty", doc)
		}
		return nil, nil
	}
	if err := change(leave); err != nil || len(store.writes) > 0 {
		t.Errorf("unchanged document: writes = %d, %v, want 0", len(store.writes), err)
	}
	mine := errors.New("mine")
	fail := func(map[string]any) (map[string]any, error) { return map[string]any{}, mine }
	if err := change(fail); err != mine || len(store.writes) > 0 {
		t.Errorf("error = %v after %d writes, want edit's", err, len(store.writes))
	}
	if err := errors.Join(change(count), change(count)); err != nil {
		t.Error(err)
	}
	// After an edit in place the store must still get the former document.
	if err := change(func(doc map[string]any) (map[string]any, error) {
		maps.DeleteFunc(doc, func(string, any) bool { return true })
		doc["m"] = true
		return doc, nil
	}); err != nil {
		t.Error(err)
	}
	var documents []map[string]any
	for _, c := range store.writes {
		documents = append(documents, c.Document)
		if c.Name != "c" {
			t.Errorf("name = %q", c.Name)
		}
	}
	one, two, in := map[string]any{"n": int64(1)}, map[string]any{"n": int64(2)}, map[string]any{"m": true}
	expect.Equal(t, "written documents", []map[string]any{nil, one, one, two, two, in}, documents)
}

func TestChangeControlGivesUp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err    error // of the store
		ends   bool  // whether the first attempt ends the context
		want   []error
		writes int
	}{
		"conflicts":        {fmt.Errorf("wrapped: %w", grant.ErrConflict), false, []error{grant.ErrConflict}, 10},
		"an error":         {errStore, false, []error{errStore}, 1},
		"its context ends": {grant.ErrConflict, true, []error{context.Canceled, grant.ErrConflict}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				store := &controls{Store: grantmem.New(), err: test.err}
				err := grant.ChangeControl(ctx, store, "c", func(doc map[string]any) (map[string]any, error) {
					if test.ends {
						cancel()
					}
					return count(doc)
				})
				for _, want := range test.want {
					if !errors.Is(err, want) {
						t.Errorf("error = %v, want %v", err, want)
					}
				}
				if got := len(store.writes) / 2; got != test.writes {
					t.Errorf("writes = %d, want %d", got, test.writes)
				}
				cancel()
				if err := grant.ChangeControl(ctx, store, "c", count); !errors.Is(err, context.Canceled) || len(store.writes)/2 != test.writes {
					t.Errorf("error of a failed read = %v after %d writes", err, len(store.writes)/2)
				}
			})
		})
	}
}
