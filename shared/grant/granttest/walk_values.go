package granttest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// The customers, events and Amazon users of a walk: few, so that operations
// meet, and such that a careless store takes one for the other.
var (
	walkKeys = []grant.Key{
		{Skill: "a", UserID: "bc"}, {Skill: "ab", UserID: "c"}, {Skill: "default", UserID: "u/1"}, {Skill: "default", UserID: "U/1"},
	}
	walkEvents      = []string{"e-1", "a/b"}
	walkAmazonUsers = []string{"bc", "c"}
)

// In the order of their names, so that one seed picks the same.
var (
	recordFields = slices.Sorted(maps.Keys(recordEdits))
	grantFields  = slices.Sorted(maps.Keys(grantEdits))
)

func pick[E any](w *walk, from []E) E { return from[w.IntN(len(from))] }

// oneIn is true once in n times.
func (w *walk) oneIn(n int) bool { return w.IntN(n) == 0 }

func (w *walk) key() grant.Key { return pick(w, walkKeys) }

func (w *walk) deliveryKey() grant.DeliveryKey {
	return grant.DeliveryKey{Customer: w.key().ID(), EventID: pick(w, walkEvents)}
}

// Where a writer starts from.
const (
	current   = "what is stored"
	late      = "a state that was stored"
	nothing   = "nothing"
	disguised = "the stored revision of quite another state"
)

// state is a record from which somebody writes or deletes.
func (w *walk) state(key grant.Key) (grant.Record, string) {
	stored, err := w.reference.read(key)
	switch n := w.IntN(10); {
	case n == 0 && len(w.past[key]) > 0:
		return pick(w, w.past[key]), late
	case n == 1 || err != nil:
		r := grant.New(key)
		if w.oneIn(3) {
			w.edit(&r)
		}
		return kept(r), nothing
	case n == 2:
		for range 3 {
			w.editFields(&stored)
		}
		return kept(stored), disguised
	}
	return stored, current
}

// edited returns another state of a record, and says how it got there.
func (w *walk) edited(was grant.Record) (now grant.Record, edits []string) {
	now = was.Clone()
	for range w.IntN(5) {
		edits = append(edits, w.edit(&now))
	}
	if w.oneIn(40) {
		now.UserID, edits = "u-elsewhere", append(edits, "moved")
	}
	return now, edits
}

// edit changes something and says what.
func (w *walk) edit(r *grant.Record) string {
	if r.Grants == nil {
		r.Grants = make(map[string]grant.Grant)
	}
	id, n := fmt.Sprint("g", 1+w.IntN(3)), w.IntN(4)
	switch w.IntN(9) {
	case 0:
		r.Grants[id] = fullGrant(n)
		return fmt.Sprintf("all of %s=%d", id, n)
	case 1:
		delete(r.Grants, id)
		return "no " + id
	case 2:
		w.refine(r)
		return "finer times"
	case 3:
		r.Bucket, r.RefreshDue = n, timeOf(1+w.IntN(3))
		return fmt.Sprintf("due in %d by :%02d", n, r.RefreshDue.Second())
	case 4:
		r.Announce = append(r.Announce, grant.Announcement{Type: grant.Stale, At: timeOf(n)})
		return fmt.Sprintf("announced at :%02d", n)
	default:
		return w.editFields(r)
	}
}

// editFields sets a field of the record or of a grant that it has.
func (w *walk) editFields(r *grant.Record) string {
	n := w.IntN(4)
	ids := slices.Sorted(maps.Keys(r.Grants))
	if len(ids) == 0 || w.oneIn(2) {
		name := pick(w, recordFields)
		recordEdits[name](r, n)
		return fmt.Sprintf("%s=%d", name, n)
	}
	id, name := pick(w, ids), pick(w, grantFields)
	*r = withGrant(*r, id, func(g *grant.Grant) { grantEdits[name](g, n) })
	return fmt.Sprintf("%s.%s=%d", id, name, n)
}

// refine has a clock write that is finer than a store, and in another place.
func (w *walk) refine(r *grant.Record) {
	finer := func(t time.Time) time.Time { return t.Add(999).In(time.FixedZone("far", -9*3600)) }
	r.UsedAt, r.RefreshDue = finer(r.UsedAt), finer(r.RefreshDue)
	for id, g := range r.Grants {
		g.NextTry = finer(g.NextTry)
		r.Grants[id] = g
	}
}

// query asks for something that is there, at the border of what is there, or
// impossible.
func (w *walk) query() grant.DueQuery {
	border := pick(w, []time.Duration{0, 0, -time.Microsecond, 999, time.Second})
	q := grant.DueQuery{Before: timeOf(1 + w.IntN(3)).Add(border), Limit: w.IntN(6)}
	if w.oneIn(3) {
		q.Buckets, q.Before = []int{3, 2, 1, 0}, timeOf(60)
	} else {
		for range pick(w, []int{0, 1, 2, 2, 3, 3, 31}) {
			q.Buckets = append(q.Buckets, w.IntN(4))
		}
	}
	if w.oneIn(3) {
		q.From = timeOf(1 + w.IntN(3)).Add(pick(w, []time.Duration{0, 0, time.Microsecond, -time.Second}))
	}
	if w.oneIn(2) {
		q.After = w.next
	} else if w.oneIn(4) {
		q.After = &grant.DueCursor{RefreshDue: timeOf(1 + w.IntN(3)), ID: w.key().ID()}
	}
	return q
}

// asked writes a query for people.
func asked(q grant.DueQuery) string {
	after := "the beginning"
	if q.After != nil {
		after = fmt.Sprintf("%v %.8s", q.After.RefreshDue, q.After.ID)
	}
	return fmt.Sprintf("%d in %v from %v by %v, after %s", q.Limit, q.Buckets, q.From, q.Before, after)
}

func copyOf(q grant.DueQuery) grant.DueQuery {
	q.Buckets = slices.Clone(q.Buckets)
	if q.After != nil {
		after := *q.After
		q.After = &after
	}
	return q
}

// place is where a list begins: anywhere, or where the one before ended.
func (w *walk) place() string { return pick(w, []string{"", w.after, w.key().ID()}) }

func (w *walk) deliveryState(key grant.DeliveryKey) (grant.Delivery, string) {
	stored, err := w.reference.readDelivery(key)
	switch n := w.IntN(8); {
	case n == 0 && len(w.pastDeliveries[key]) > 0:
		return pick(w, w.pastDeliveries[key]), late
	case n == 1 || err != nil:
		return grant.Delivery{Key: key}, nothing
	case n == 2:
		stored.State = grant.DeliveryState(textOf(w.IntN(3)))
		return stored, disguised
	}
	return stored, current
}

// editedDelivery gives every change an end of its own, so that there is
// something to write.
func (w *walk) editedDelivery(was grant.Delivery) grant.Delivery {
	now := was
	switch w.IntN(20) {
	case 0:
		now.ExpireAt = time.Time{}
	case 1:
		now.Key.EventID = "e-elsewhere"
	case 2, 3, 4: // the same
	default:
		now.State, now.ClaimedUntil = grant.DeliveryState(textOf(w.IntN(3))), timeOf(w.IntN(3))
		now.Accepted = [][]string{nil, {"g1"}, {"g1", "g2"}}[w.IntN(3)]
		now.ExpireAt = timeOf(60 + len(w.history))
	}
	return now
}

// deepCopy shares nothing with r, not even the tokens.
func deepCopy(r grant.Record) grant.Record {
	r = r.Clone()
	for id, g := range r.Grants {
		g.AccessToken, g.RefreshToken = bytes.Clone(g.AccessToken), bytes.Clone(g.RefreshToken)
		r.Grants[id] = g
	}
	return r
}

func scribbleAll(records []grant.Record) {
	for _, r := range records {
		scribble(r)
	}
}

func scribbleList(words []string) {
	for i := range words {
		words[i] = "scribbled"
	}
}
