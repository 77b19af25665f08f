package granttest

import (
	"context"
	"fmt"
	"slices"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// Every operation of a walk notes what it does, has the store and then the
// reference do it, and compares. Whatever was given to the store or came from
// it is scribbled over afterwards: nobody may have kept it.

func (w *walk) read(ctx context.Context, key grant.Key) error {
	w.note("Read %+v", key)
	got, err := w.store.Read(ctx, key)
	want, wantErr := w.reference.read(key)
	defer scribble(got)
	return w.same(got, err, want, wantErr)
}

func (w *walk) write(ctx context.Context) error {
	was, from := w.state(w.key())
	now, edits := w.edited(was)
	if from == disguised {
		now.Version = 1000 + len(w.history) // so that there is something to write
	}
	w.note("Write %+v, from %s: %v", was.Key(), from, edits)
	givenWas, givenNow := deepCopy(was), deepCopy(now)
	got, err := w.store.Write(ctx, givenWas, givenNow)
	want, wantErr := w.reference.write(was, now, got.Revision)
	if wantErr == nil && want.Revision != was.Revision {
		w.past[want.Key()] = append(w.past[want.Key()], want)
	}
	if from == disguised && wantErr == nil && err == nil { // a store may answer with what the writer believes
		return w.read(ctx, was.Key())
	}
	defer scribble(got)
	defer scribble(givenWas)
	defer scribble(givenNow)
	return w.same(got, err, want, wantErr)
}

func (w *walk) delete(ctx context.Context) error {
	was, from := w.state(w.key())
	w.note("Delete %+v, from %s", was.Key(), from)
	err := w.store.Delete(ctx, deepCopy(was))
	return w.same(nil, err, nil, w.reference.delete(was))
}

func (w *walk) due(ctx context.Context, q grant.DueQuery) error {
	w.note("Due %s", asked(q))
	page, err := w.store.Due(ctx, copyOf(q))
	rest, wantErr := w.reference.due(q)
	if wantErr != nil || err != nil {
		return w.same(nil, err, nil, wantErr)
	}
	defer scribbleAll(page.Records)
	var beyond []grant.Record
	if q.After = page.Next; q.After != nil {
		beyond, _ = w.reference.due(q)
	}
	w.next = page.Next
	return samePage(page.Records, page.Unreadable, q.Limit, rest, beyond)
}

func (w *walk) count(ctx context.Context, q grant.DueQuery) error {
	w.note("CountDue %s", asked(q))
	got, err := w.store.CountDue(ctx, copyOf(q))
	rest, wantErr := w.reference.due(q)
	return w.same(got, err, min(len(rest), q.Limit), wantErr)
}

func (w *walk) list(ctx context.Context, after string, limit int) error {
	w.note("List %d after %.8q", limit, after)
	page, err := w.store.List(ctx, after, limit)
	rest, wantErr := w.reference.list(after, limit)
	if wantErr != nil || err != nil {
		return w.same(nil, err, nil, wantErr)
	}
	defer scribbleAll(page.Records)
	var beyond []grant.Record
	if page.Next != "" {
		beyond, _ = w.reference.list(page.Next, limit)
	}
	w.after = page.Next
	if len(page.Records) == 0 && len(rest) > 0 {
		return fmt.Errorf("the last one: the page is empty, and there are %d records", len(rest))
	}
	return samePage(page.Records, page.Unreadable, limit, rest, beyond)
}

// samePage reports whether a page is the beginning of rest, and whether what
// the next pages have, beyond, is what is left of it.
func samePage(got []grant.Record, unreadable []error, limit int, rest, beyond []grant.Record) error {
	n := len(got)
	if n > limit || n > len(rest) || len(unreadable) > 0 {
		return fmt.Errorf("the last one: %d records in a page of %d, there are %d; unreadable %v", n, limit, len(rest), unreadable)
	}
	if err := sameValue("the last one", got, slices.Concat(rest[:n])); err != nil {
		return err
	}
	return sameValue("the last one: what comes on the next pages", beyond, slices.Concat(rest[n:]))
}

func (w *walk) readDelivery(ctx context.Context, key grant.DeliveryKey) error {
	w.note("ReadDelivery %.8s %q", key.Customer, key.EventID)
	got, err := w.store.ReadDelivery(ctx, key)
	want, wantErr := w.reference.readDelivery(key)
	defer scribbleList(got.Accepted)
	return w.same(got, err, want, wantErr)
}

func (w *walk) writeDelivery(ctx context.Context) error {
	was, from := w.deliveryState(w.deliveryKey())
	now := w.editedDelivery(was)
	w.note("WriteDelivery %.8s %q, from %s: %q %q until %v, accepted by %v, until %v", was.Key.Customer, was.Key.EventID, from,
		now.Key.EventID, now.State, now.ClaimedUntil, now.Accepted, now.ExpireAt)
	given := now
	given.Accepted = slices.Clone(now.Accepted)
	got, err := w.store.WriteDelivery(ctx, was, given)
	want, wantErr := w.reference.writeDelivery(was, now, got.Revision)
	if wantErr == nil && want.Revision != was.Revision {
		w.pastDeliveries[want.Key] = append(w.pastDeliveries[want.Key], want)
		defer scribbleList(got.Accepted)
	}
	defer scribbleList(given.Accepted)
	return w.same(got, err, want, wantErr)
}

func (w *walk) erase(ctx context.Context, key grant.Key) error {
	w.note("Erase %+v", key)
	got, err := w.store.Erase(ctx, key)
	return w.same(got, err, w.reference.erase(key), nil)
}
