package grant

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// This file is the one place that knows how records look as documents, so that
// every store keeps the same fields under the same names. A document is made
// of string, int64, time.Time, []byte, []any and map[string]any. Times are cut
// to microseconds, which is what Firestore keeps.

// Field is one field of a record's document and what to put there.
type Field struct {
	// Path leads to the field, for example {"grants", grantID, "state"}.
	Path []string
	// Value is nil for a field that is to be removed, with all below it.
	Value any
}

// Document returns the record as the document to create. Zero values are
// absent from it, and it shares nothing with the record.
func (r Record) Document() map[string]any {
	doc := encode(recordFields, &r)
	if len(r.Grants) > 0 {
		grants := make(map[string]any, len(r.Grants))
		for id, g := range r.Grants {
			grants[id] = encode(grantFields, &g)
		}
		doc["grants"] = grants
	}
	return doc
}

// ParseRecord is the inverse of [Record.Document]. It ignores fields it does
// not know: they belong to another version of the code. A field of a wrong
// type is an error that names the field and never shows its value. The record
// shares nothing with the document, and has no Revision.
func ParseRecord(doc map[string]any) (Record, error) {
	var r Record
	if err := decode("", recordFields, doc, &r); err != nil {
		return Record{}, err
	}
	grants, ok := below(doc, "grants")
	if !ok {
		return Record{}, wrongType("grants", doc["grants"])
	}
	if len(grants) > 0 {
		r.Grants = make(map[string]Grant, len(grants))
	}
	for id := range grants {
		fields, ok := below(grants, id)
		if !ok {
			return Record{}, wrongType("grants."+id, grants[id])
		}
		var g Grant
		if err := decode("grants."+id+".", grantFields, fields, &g); err != nil {
			return Record{}, err
		}
		r.Grants[id] = g
	}
	return r, nil
}

// Diff returns the fields in which now differs from was: all that a store may
// write to a document that holds was. No path is the beginning of another one.
func Diff(was, now Record) []Field {
	changes := diff(nil, recordFields, &was, &now)
	for _, id := range slices.Sorted(maps.Keys(was.Grants)) {
		if _, kept := now.Grants[id]; !kept {
			changes = append(changes, Field{Path: []string{"grants", id}})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(now.Grants)) {
		path := []string{"grants", id}
		before, known := was.Grants[id]
		after := now.Grants[id]
		if known {
			changes = append(changes, diff(path, grantFields, &before, &after)...)
		} else {
			changes = append(changes, Field{Path: path, Value: encode(grantFields, &after)})
		}
	}
	return changes
}

// Document returns the delivery record as a document. It holds every field,
// nil for a zero value, so that writing all of them replaces what was stored.
func (d Delivery) Document() map[string]any {
	doc := make(map[string]any, len(deliveryFields))
	for _, f := range deliveryFields {
		put(doc, f.path, f.value(&d))
	}
	return doc
}

// ParseDelivery is the inverse of [Delivery.Document], on the terms of
// [ParseRecord].
func ParseDelivery(doc map[string]any) (Delivery, error) {
	var d Delivery
	if err := decode("", deliveryFields, doc, &d); err != nil {
		return Delivery{}, err
	}
	return d, nil
}

var recordFields = []field[Record]{
	number(func(r *Record) *int { return &r.Version }, "v"),
	text(func(r *Record) *string { return &r.UserID }, "userId"),
	text(func(r *Record) *string { return &r.Skill }, "skill"),
	text(func(r *Record) *alexa.Region { return &r.Region }, "region"),
	// Bucket 0 is a bucket like any other, and a query for it finds only
	// documents that have the field.
	number(func(r *Record) *int { return &r.Bucket }, "bucket").zeroToo(int64(0)),
	moment(func(r *Record) *time.Time { return &r.RefreshDue }, "refreshDue"),
	list(func(r *Record) *[]Announcement { return &r.Announce }, encodeAnnouncement, parseAnnouncement, "announce"),
	moment(func(r *Record) *time.Time { return &r.UsedAt }, "usedAt"),
}

var announcementFields = []field[Announcement]{
	text(func(a *Announcement) *AnnouncementType { return &a.Type }, "type"),
	text(func(a *Announcement) *string { return &a.GrantID }, "grantId"),
	text(func(a *Announcement) *alexa.Region { return &a.Region }, "region"),
	text(func(a *Announcement) *string { return &a.Reason }, "reason"),
	text(func(a *Announcement) *string { return &a.EndpointID }, "endpointId"),
	number(func(a *Announcement) *int { return &a.ActiveGrants }, "activeGrants"),
	moment(func(a *Announcement) *time.Time { return &a.At }, "at"),
}

var grantFields = []field[Grant]{
	text(func(g *Grant) *alexa.Region { return &g.Region }, "region"),
	text(func(g *Grant) *State { return &g.State }, "state"),
	text(func(g *Grant) *string { return &g.Reason }, "reason"),
	moment(func(g *Grant) *time.Time { return &g.Since }, "since"),
	text(func(g *Grant) *string { return &g.ClientID }, "clientId"),
	text(func(g *Grant) *string { return &g.AmazonUser }, "amazonUser"),
	sealed(func(g *Grant) *[]byte { return &g.AccessToken }, "accessToken"),
	sealed(func(g *Grant) *[]byte { return &g.RefreshToken }, "refreshToken"),
	moment(func(g *Grant) *time.Time { return &g.ExpiresAt }, "expiresAt"),
	number(func(g *Grant) *int64 { return &g.TokenVersion }, "tokenVersion"),
	text(func(g *Grant) *string { return &g.Lease.Owner }, "lease", "owner"),
	moment(func(g *Grant) *time.Time { return &g.Lease.Until }, "lease", "until"),
	moment(func(g *Grant) *time.Time { return &g.RefreshDue }, "refreshDue"),
	number(func(g *Grant) *int { return &g.Failures }, "failures"),
	moment(func(g *Grant) *time.Time { return &g.NextTry }, "nextTry"),
	moment(func(g *Grant) *time.Time { return &g.LastForcedRefresh }, "lastForcedRefresh"),
	moment(func(g *Grant) *time.Time { return &g.CreatedAt }, "createdAt"),
	moment(func(g *Grant) *time.Time { return &g.EraseAt }, "eraseAt"),
}

var deliveryFields = []field[Delivery]{
	text(func(d *Delivery) *string { return &d.Key.Customer }, "customer"),
	text(func(d *Delivery) *string { return &d.Key.EventID }, "eventId"),
	text(func(d *Delivery) *DeliveryState { return &d.State }, "state"),
	moment(func(d *Delivery) *time.Time { return &d.ClaimedUntil }, "claimedUntil"),
	list(func(d *Delivery) *[]string { return &d.Accepted }, encodeWord, parseWord, "accepted"),
	moment(func(d *Delivery) *time.Time { return &d.ExpireAt }, "expireAt"),
}

// field is one field of the struct T and its place in the document.
type field[T any] struct {
	path  []string
	value func(*T) any       // what the document holds, nil for a zero value
	set   func(*T, any) bool // the way back, false for a value of a wrong type
}

// newField makes a field of two functions that turn its value into what the
// document holds and back. They must copy what could be shared.
func newField[T, V any](of func(*T) *V, write func(V) any, read func(any) (V, bool), path ...string) field[T] {
	return field[T]{
		path:  path,
		value: func(from *T) any { return write(*of(from)) },
		set: func(into *T, v any) (ok bool) {
			*of(into), ok = read(v)
			return ok
		},
	}
}

func text[T any, S ~string](of func(*T) *S, path ...string) field[T] {
	write := func(s S) any { return orNil(string(s), s == "") }
	read := func(v any) (S, bool) { s, ok := v.(string); return S(s), ok }
	return newField(of, write, read, path...)
}

func number[T any, N int | int64](of func(*T) *N, path ...string) field[T] {
	write := func(n N) any { return orNil(int64(n), n == 0) }
	read := func(v any) (N, bool) { n, ok := v.(int64); return N(n), ok }
	return newField(of, write, read, path...)
}

func moment[T any](of func(*T) *time.Time, path ...string) field[T] {
	cut := func(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
	write := func(t time.Time) any { return orNil(cut(t), cut(t).IsZero()) }
	read := func(v any) (time.Time, bool) { t, ok := v.(time.Time); return cut(t), ok }
	return newField(of, write, read, path...)
}

func sealed[T any](of func(*T) *[]byte, path ...string) field[T] {
	clone := func(b []byte) []byte { return append([]byte(nil), b...) }
	write := func(b []byte) any { return orNil(clone(b), len(b) == 0) }
	read := func(v any) ([]byte, bool) { b, ok := v.([]byte); return clone(b), ok }
	return newField(of, write, read, path...)
}

func list[T, E any](of func(*T) *[]E, element func(E) any, parse func(any) (E, bool), path ...string) field[T] {
	write := func(elements []E) any {
		var values []any
		for _, e := range elements {
			values = append(values, element(e))
		}
		return orNil(values, len(values) == 0)
	}
	read := func(v any) ([]E, bool) {
		values, ok := v.([]any)
		var elements []E
		for _, v := range values {
			e, fits := parse(v)
			elements, ok = append(elements, e), ok && fits
		}
		return elements, ok
	}
	return newField(of, write, read, path...)
}

func encodeAnnouncement(a Announcement) any { return encode(announcementFields, &a) }

func parseAnnouncement(v any) (a Announcement, ok bool) {
	doc, ok := v.(map[string]any)
	return a, ok && decode("", announcementFields, doc, &a) == nil
}

func encodeWord(s string) any             { return s }
func parseWord(v any) (s string, ok bool) { s, ok = v.(string); return s, ok }

// zeroToo makes of f a field that holds zero where f is absent.
func (f field[T]) zeroToo(zero any) field[T] {
	value := f.value
	f.value = func(from *T) any {
		if v := value(from); v != nil {
			return v
		}
		return zero
	}
	return f
}

func orNil(v any, zero bool) any {
	if zero {
		return nil
	}
	return v
}

func encode[T any](fields []field[T], from *T) map[string]any {
	doc := make(map[string]any, len(fields))
	for _, f := range fields {
		if v := f.value(from); v != nil {
			put(doc, f.path, v)
		}
	}
	return doc
}

// put stores v at path, with the maps that lead there.
func put(doc map[string]any, path []string, v any) {
	for len(path) > 1 {
		next, ok := doc[path[0]].(map[string]any)
		if !ok {
			next = make(map[string]any)
			doc[path[0]] = next
		}
		doc, path = next, path[1:]
	}
	doc[path[0]] = v
}

// decode fills into from doc. Errors name fields with prefix in front.
func decode[T any](prefix string, fields []field[T], doc map[string]any, into *T) error {
	for _, f := range fields {
		v, ok := find(doc, f.path)
		if v == nil {
			continue
		}
		if !ok || !f.set(into, v) {
			return wrongType(prefix+strings.Join(f.path, "."), v)
		}
	}
	return nil
}

// find returns what doc holds at path, or nil; or, with false, what is in the
// way because it is no map.
func find(doc map[string]any, path []string) (any, bool) {
	for _, name := range path[:len(path)-1] {
		next, ok := below(doc, name)
		if !ok {
			return doc[name], false
		}
		doc = next
	}
	return doc[path[len(path)-1]], true
}

// below returns the map that doc holds as name, nil if there is nothing.
func below(doc map[string]any, name string) (map[string]any, bool) {
	v := doc[name]
	if v == nil {
		return nil, true
	}
	inner, ok := v.(map[string]any)
	return inner, ok
}

func wrongType(path string, v any) error {
	return fmt.Errorf("grant: field %s: unreadable %T", path, v)
}

func diff[T any](under []string, fields []field[T], was, now *T) []Field {
	var changes []Field
	for _, f := range fields {
		v := f.value(now)
		if !reflect.DeepEqual(v, f.value(was)) {
			changes = append(changes, Field{Path: slices.Concat(under, f.path), Value: v})
		}
	}
	return changes
}
