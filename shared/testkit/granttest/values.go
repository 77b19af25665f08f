package granttest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// Odd ids of documents, which a careless store confuses.
var oddIDs = []string{
	"bc", "c", "BC", "a/b", "../..", "..", "__reserved__", " ", "a.b`c", "line\nfeed", "ÄÖÜ@例え.jp", strings.Repeat("1,000 byte", 100),
}

// keyOf returns the ith customer's key. Skill and userId of the customers 0 and 3
// are equal when they are joined.
func keyOf(i int) grant.Key {
	return grant.Key{Skill: []string{"a", "ab"}[i%2], UserID: oddIDs[i/2]}
}

// timeOf, like the functions below, returns another value for each n, and zero for
// 0. 1 is before 1970: such times must be cut too, not rounded.
func timeOf(n int) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Date(1968+n, 1, 2, 3, 4, 5, 123456000, time.UTC)
}

func fullRecord(i, n int) (r grant.Record) {
	fill(&r, n)
	r.Skill, r.UserID, r.Bucket = keyOf(i).Skill, keyOf(i).UserID, n%3
	return r
}

// dueRecord returns a record that is due in a bucket, whatever its key is.
func dueRecord(userID string, bucket int, due time.Time) grant.Record {
	r := grant.New(grant.Key{Skill: "default", UserID: userID})
	r.Bucket, r.RefreshDue = bucket, due
	return r
}

// fullDelivery is of the customer 0 or 1, and does not expire during a walk.
func fullDelivery(i, n int) (d grant.Delivery) {
	fill(&d, n)
	d.Key = grant.DeliveryKey{Customer: keyOf(i % 2).ID(), EventID: oddIDs[i/2]}
	d.ExpireAt = timeOf(n+1).AddDate(1000, 0, 0)
	return d
}

// fullAccount is of the customer n: accounts change hands.
func fullAccount(i, n int) (a grant.Account) {
	fill(&a, n)
	a.ID = grant.AccountKey{Skill: keyOf(i).Skill, AmazonUser: keyOf(i).UserID}.ID()
	a.Customer = keyOf(n % 4).ID()
	return a
}

func fullControl(i, n int) (c grant.Control) {
	fill(&c, n)
	c.Name = fmt.Sprint("c-", i)
	return c
}

// fill sets every field except the revision.
func fill(d any, n int) {
	for _, f := range fieldsOf(reflect.ValueOf(d).Elem()) {
		set(f, n)
	}
}

// fieldsOf returns the fields in v, with those of structs in place of the struct.
// It omits the revision, which stores set.
func fieldsOf(v reflect.Value) (fields []reflect.Value) {
	if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[time.Time]() {
		return []reflect.Value{v}
	}
	for i := range v.NumField() {
		if f := v.Field(i); f.Type() != reflect.TypeFor[grant.Revision]() {
			fields = append(fields, fieldsOf(f)...)
		}
	}
	return fields
}

func set(v reflect.Value, n int) {
	v.SetZero()
	switch p := v.Addr().Interface().(type) {
	case *map[string]any: // of a control document: never nil; fields appear, disappear and change their type
		*p = map[string]any{
			"text": "text", "number": int64(n), "true": true, "false": false, "at": timeOf(n),
			"type": []any{int64(1), "1", false}[n%3], fmt.Sprint("only-", n): int64(-n),
		}
		if n == 0 {
			clear(*p)
		}
		return
	case *time.Time:
		*p = timeOf(n)
		return
	case *[]byte:
		if n > 0 {
			*p = fmt.Appendf(nil, "sealed-%d\x00\xff", n)
		}
		return
	case *map[string]grant.Grant:
		if n > 0 {
			*p = map[string]grant.Grant{"g1": fullGrant(n), "g2": fullGrant(n + 1)}
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		if n > 0 {
			v.SetString(fmt.Sprint("text-", n))
		}
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(n))
	case reflect.Bool:
		v.SetBool(n%2 == 1)
	case reflect.Slice: // n elements, the greatest first, to detect a store that sorts
		for i := range n {
			e := reflect.New(v.Type().Elem())
			fill(e.Interface(), n-i)
			v.Set(reflect.Append(v, e.Elem()))
		}
	default:
		panic(fmt.Sprintf("granttest: no value for a field of type %v", v.Type()))
	}
}

func fullGrant(n int) (g grant.Grant) {
	fill(&g, n)
	return g
}

// edit changes one field of a D to its nth value, without changing anything in
// place.
type edit[D any] func(d *D, n int)

// editsOf returns an edit of each field, including those of the key.
func editsOf[D any]() (edits []edit[D]) {
	for i := range fieldsOf(reflect.ValueOf(new(D)).Elem()) {
		edits = append(edits, func(d *D, n int) { set(fieldsOf(reflect.ValueOf(d).Elem())[i], n) })
	}
	return edits
}

// recordEdits adds an edit of each field of a grant, and edits that add and remove
// grants.
func recordEdits() []edit[grant.Record] {
	edits := append(editsOf[grant.Record](),
		func(r *grant.Record, n int) { setGrant(r, "g3", fullGrant(n)) },
		func(r *grant.Record, _ int) { r.Grants = maps.Clone(r.Grants); delete(r.Grants, "g1") })
	for _, change := range editsOf[grant.Grant]() {
		edits = append(edits, func(r *grant.Record, n int) {
			g := r.Grants["g1"]
			change(&g, n)
			setGrant(r, "g1", g)
		})
	}
	return edits
}

func setGrant(r *grant.Record, id string, g grant.Grant) {
	grants := map[string]grant.Grant{}
	maps.Copy(grants, r.Grants)
	grants[id] = g
	r.Grants = grants
}

// refine gives times a finer resolution than a store's, and another zone.
func refine(d any) {
	for _, f := range fieldsOf(reflect.ValueOf(d).Elem()) {
		switch p := f.Addr().Interface().(type) {
		case *time.Time:
			if !p.IsZero() {
				*p = p.Add(999).In(time.FixedZone("far", -9*3600))
			}
		case *[]grant.Announcement:
			for i := range *p {
				refine(&(*p)[i])
			}
		case *map[string]grant.Grant:
			for id, g := range *p {
				refine(&g)
				(*p)[id] = g
			}
		}
	}
}

// scribble changes everything that copies of v share.
func scribble(v reflect.Value) {
	switch {
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		for i := range v.NumField() {
			scribble(v.Field(i))
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			scribble(v.Index(i))
			v.Index(i).SetZero()
		}
	case v.Kind() == reflect.Map:
		for _, name := range v.MapKeys() {
			scribble(v.MapIndex(name))
			v.SetMapIndex(name, reflect.Zero(v.Type().Elem()))
		}
	}
}

// exactly compares values as stores keep them: times in UTC, and the grants of a
// delivery in any order. An empty list equals nil.
var exactly = cmp.Options{
	cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) && a.Location() == b.Location() }),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Accepted" },
		cmpopts.SortSlices(func(a, b string) bool { return a < b })),
	cmpopts.EquateEmpty(),
}

func wantSame(t testing.TB, doing string, got, want any) {
	t.Helper()
	if reflect.DeepEqual(got, want) { // faster than cmp
		return
	}
	if diff := cmp.Diff(want, got, exactly); diff != "" {
		t.Fatalf("%s: values differ (-want +got):\n%s", doing, diff)
	}
}

func pick[E any](draw *rand.Rand, from []E) E { return from[draw.IntN(len(from))] }

// errRefused stands for every error but ErrNotFound and ErrConflict, after which a
// caller does not read again.
var errRefused = errors.New("refused as impossible")

// outcome returns the kind of a call's error.
func outcome(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, grant.ErrNotFound):
		return grant.ErrNotFound
	case errors.Is(err, grant.ErrConflict):
		return grant.ErrConflict
	}
	return errRefused
}

func wantError(t testing.TB, doing string, err, want error) {
	t.Helper()
	if outcome(err) != want {
		t.Fatalf("%s: error = %v, want %v", doing, err, want)
	}
}
