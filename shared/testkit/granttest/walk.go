package granttest

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
)

const (
	walkSteps = 100 // of a walk; printed when it fails
	walkers   = 4   // customers, and documents of each kind: few, so that operations conflict
)

// walk runs random operations on a store in memory and on the tested one, and
// compares their answers. Each store has its own revisions. A walk has no
// concurrent calls, and its contexts do not end.
type walk struct {
	testing.TB
	draw    *rand.Rand
	stores  [2]grant.Admin
	past    map[string][]any // documents written to both stores
	history []func() string
}

// takeWalk fails at the first difference. The same seed gives the same walk.
func takeWalk(t testing.TB, store grant.Admin, seed uint64) {
	t.Helper()
	w := &walk{
		TB: t, draw: rand.New(rand.NewPCG(seed, 0)), stores: [2]grant.Admin{grantmem.New(), store}, past: make(map[string][]any),
	}
	w.note("%s=%d", seedEnv, seed)
	for range walkSteps {
		switch w.draw.IntN(10) {
		case 0, 1, 2:
			records.step(w)
		case 3:
			deliveries.step(w)
		case 4:
			accounts.step(w)
		case 5:
			controls.step(w)
		case 6, 7:
			w.due()
		case 8:
			w.list()
		default:
			w.remove()
		}
	}
}

func (w *walk) note(format string, args ...any) {
	w.history = append(w.history, func() string { return fmt.Sprintf(format, args...) })
}

// Fatalf also prints the operations.
func (w *walk) Fatalf(format string, args ...any) {
	w.Helper()
	var steps []string
	for _, step := range w.history {
		steps = append(steps, step())
	}
	w.TB.Fatalf("after these operations:\n%s\n%s", strings.Join(steps, "\n"), fmt.Sprintf(format, args...))
}

// both runs an operation on each store. If one fails, the other must fail in the
// same way, and ok is false.
func both[T any](w *walk, do func(i int, s grant.Admin) (T, error)) (got [2]T, ok bool) {
	w.Helper()
	var errs [2]error
	for i, s := range w.stores {
		got[i], errs[i] = do(i, s)
	}
	wantError(w, "the last one", errs[1], outcome(errs[0]))
	return got, errs[0] == nil
}

// same compares the stores' answers.
func (k kind[D, K]) same(w *walk, got [2]D) {
	w.Helper()
	if *k.revision(&got[1]) != 0 {
		got[1] = k.at(got[1], got[0])
	}
	wantSame(w, "the last one", got[1], got[0])
}

func (k kind[D, K]) readBoth(w *walk, i int) (stored [2]D, ok bool) {
	w.Helper()
	stored, ok = both(w, func(_ int, s grant.Admin) (D, error) { return k.read(s, w.Context(), k.key(k.full(i, 0))) })
	k.same(w, stored)
	return stored, ok
}

// from draws a version of the ith document, with each store's revision, to write or
// delete from.
func (k kind[D, K]) from(w *walk, i int) (was [2]D, from string) {
	stored, ok := k.readBoth(w, i)
	past := w.past[fmt.Sprint(k.name, i)]
	switch n := w.draw.IntN(10); {
	case n == 0 && len(past) > 0:
		return pick(w.draw, past).([2]D), "an older state"
	case n == 1 || !ok:
		blank := k.blank(k.key(k.full(i, 0)))
		return [2]D{blank, blank}, "nothing"
	}
	return stored, "the stored value"
}

// step writes a document, and reads it.
func (k kind[D, K]) step(w *walk) {
	w.Helper()
	i := w.draw.IntN(walkers)
	was, from := k.from(w, i)
	now := was[0]
	if w.draw.IntN(3) == 0 {
		now = k.at(k.full(i, w.draw.IntN(4)), now)
	}
	for range w.draw.IntN(4) {
		pick(w.draw, k.edits)(&now, w.draw.IntN(4))
	}
	if k.looks && reflect.DeepEqual(was[0], now) {
		return // the revision may not change
	}
	w.history = append(w.history, func() string {
		return fmt.Sprintf("write %s %d from %s (-was +now):\n%s", k.name, i, from, cmp.Diff(was[0], now))
	})
	written, ok := both(w, func(i int, s grant.Admin) (D, error) { return k.write(s, w.Context(), was[i], now) })
	if ok {
		k.same(w, written)
		w.past[fmt.Sprint(k.name, i)] = append(w.past[fmt.Sprint(k.name, i)], written)
	}
	k.readBoth(w, i)
}

// remove deletes a record, or erases a customer.
func (w *walk) remove() {
	w.Helper()
	i := w.draw.IntN(walkers)
	if w.draw.IntN(3) > 0 {
		was, from := records.from(w, i)
		w.note("delete record %d from %s", i, from)
		both(w, func(i int, s grant.Admin) (any, error) { return nil, s.Delete(w.Context(), was[i]) })
	} else {
		w.note("erase customer %d", i)
		erased, _ := both(w, func(_ int, s grant.Admin) (grant.Erased, error) { return s.Erase(w.Context(), keyOf(i)) })
		wantSame(w, "erase", erased[1], erased[0])
	}
	for i := range walkers {
		records.readBoth(w, i)
		deliveries.readBoth(w, i)
		accounts.readBoth(w, i)
	}
}

// find compares the records that both stores find and count.
func (w *walk) find(find func(s grant.Admin) ([]grant.Record, error), count func(s grant.Admin) (int, error)) {
	w.Helper()
	found, _ := both(w, func(_ int, s grant.Admin) ([]grant.Record, error) { return find(s) })
	wantSame(w, "who was found", userIDs(found[1]), userIDs(found[0]))
	for i := range found[0] {
		records.same(w, [2]grant.Record{found[0][i], found[1][i]})
	}
	counted, _ := both(w, func(_ int, s grant.Admin) (int, error) { return count(s) })
	wantSame(w, "how many were counted", counted[1], counted[0])
}

// due queries existing records, borders, and impossible queries.
func (w *walk) due() {
	w.Helper()
	moment := func() time.Time {
		return timeOf(1 + w.draw.IntN(4)).Add(pick(w.draw, []time.Duration{0, 0, -time.Microsecond}))
	}
	q := grant.DueQuery{Buckets: []int{3, 2, 1, 0}[w.draw.IntN(5):], Before: moment(), Limit: w.draw.IntN(5)}
	if w.draw.IntN(3) == 0 {
		q.From = moment()
	}
	if w.draw.IntN(3) == 0 {
		q.After = &grant.DueCursor{RefreshDue: moment(), ID: keyOf(w.draw.IntN(walkers)).ID()}
	}
	w.note("due with %+v, after %+v", q, q.After)
	w.find(func(s grant.Admin) ([]grant.Record, error) { return allDue(w.Context(), s, q) },
		func(s grant.Admin) (int, error) { return s.CountDue(w.Context(), q) })
}

func (w *walk) list() {
	w.Helper()
	after, limit := pick(w.draw, []string{"", keyOf(w.draw.IntN(walkers)).ID()}), w.draw.IntN(5)
	w.note("list %d after %q", limit, after)
	w.find(func(s grant.Admin) ([]grant.Record, error) { return allListed(w.Context(), s, after, limit) },
		func(s grant.Admin) (int, error) { return s.CountCustomers(w.Context()) })
}
