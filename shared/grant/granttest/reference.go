package granttest

import (
	"cmp"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// reference is a store done in the plainest way: three maps, and a look at all
// that is in them. It shares no code with the real ones, nor with the field
// masks that package grant makes for them. Revisions, which a store chooses, it
// is told.
type reference struct {
	records    map[grant.Key]grant.Record
	deliveries map[grant.DeliveryKey]grant.Delivery
	accounts   map[string]grant.Account
	used       map[any]map[grant.Revision]bool // by key, what each document ever had
}

// What the reference answers besides the errors of package grant.
var (
	errRefused  = errors.New("refused as impossible")
	errRevision = errors.New("the revision is zero or was there before")
)

func newReference() *reference {
	return &reference{
		records:    make(map[grant.Key]grant.Record),
		deliveries: make(map[grant.DeliveryKey]grant.Delivery),
		accounts:   make(map[string]grant.Account),
		used:       make(map[any]map[grant.Revision]bool),
	}
}

// use notes the revision that the real store gave.
func (m *reference) use(key any, given grant.Revision) error {
	if given == 0 || m.used[key][given] {
		return errRevision
	}
	if m.used[key] == nil {
		m.used[key] = make(map[grant.Revision]bool)
	}
	m.used[key][given] = true
	return nil
}

func (m *reference) read(key grant.Key) (grant.Record, error) {
	r, ok := m.records[key]
	if !ok {
		return grant.Record{}, grant.ErrNotFound
	}
	return r, nil
}

func (m *reference) write(was, now grant.Record, given grant.Revision) (grant.Record, error) {
	now = kept(now)
	now.Revision = was.Revision
	stored, ok := m.records[now.Key()]
	switch {
	case was.Key() != now.Key():
		return grant.Record{}, errRefused
	case reflect.DeepEqual(was, now):
		return was, nil
	case was.Revision != stored.Revision:
		return grant.Record{}, grant.ErrConflict
	case ok:
		now = merge(stored, was, now)
	}
	now.Revision = given
	m.records[now.Key()] = now
	return now, m.use(now.Key(), given)
}

// kept is what a store keeps of a record; only these times are ever finer than
// microseconds in a walk.
func kept(r grant.Record) grant.Record {
	cut := func(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
	r = r.Clone()
	r.UsedAt, r.RefreshDue = cut(r.UsedAt), cut(r.RefreshDue)
	for id, g := range r.Grants {
		g.NextTry = cut(g.NextTry)
		r.Grants[id] = g
	}
	if len(r.Grants) == 0 {
		r.Grants = nil
	}
	return r
}

// merge returns stored with what differs between was and now.
func merge(stored, was, now grant.Record) grant.Record {
	merged := stored.Clone()
	grants := merged.Grants
	if grants == nil {
		grants = make(map[string]grant.Grant)
	}
	mergeFields(reflect.ValueOf(&merged).Elem(), reflect.ValueOf(was), reflect.ValueOf(now))
	for id := range was.Grants {
		if _, stays := now.Grants[id]; !stays {
			delete(grants, id)
		}
	}
	for id, after := range now.Grants {
		before, known := was.Grants[id]
		g := after
		if known {
			g = grants[id]
			mergeFields(reflect.ValueOf(&g).Elem(), reflect.ValueOf(before), reflect.ValueOf(after))
		}
		grants[id] = g
	}
	merged.Grants = grants
	return kept(merged)
}

func mergeFields(into, was, now reflect.Value) {
	for i := range now.NumField() {
		if t := now.Field(i).Type(); t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]() { // a lease, a witness
			mergeFields(into.Field(i), was.Field(i), now.Field(i))
		} else if !reflect.DeepEqual(was.Field(i).Interface(), now.Field(i).Interface()) {
			into.Field(i).Set(now.Field(i))
		}
	}
}

func (m *reference) delete(was grant.Record) error {
	switch {
	case was.Revision == 0:
		return errRefused
	case was.Revision != m.records[was.Key()].Revision:
		return grant.ErrConflict
	}
	delete(m.records, was.Key())
	return nil
}

// due returns all records that a query selects, whatever its limit.
func (m *reference) due(q grant.DueQuery) ([]grant.Record, error) {
	if len(q.Buckets) < 1 || len(q.Buckets) > grant.MaxDueBuckets || q.Limit < 1 {
		return nil, errRefused
	}
	place := func(due time.Time, id string, other grant.DueCursor) int {
		return cmp.Or(due.Compare(other.RefreshDue), strings.Compare(id, other.ID))
	}
	var due []grant.Record
	for _, r := range m.records {
		if slices.Contains(q.Buckets, r.Bucket) && !r.RefreshDue.IsZero() && !r.RefreshDue.Before(q.From) && !r.RefreshDue.After(q.Before) &&
			(q.After == nil || place(r.RefreshDue, r.Key().ID(), *q.After) > 0) {
			due = append(due, r)
		}
	}
	slices.SortFunc(due, func(a, b grant.Record) int {
		return place(a.RefreshDue, a.Key().ID(), grant.DueCursor{RefreshDue: b.RefreshDue, ID: b.Key().ID()})
	})
	return due, nil
}

// list returns all records that come after an id.
func (m *reference) list(after string, limit int) ([]grant.Record, error) {
	if limit < 1 {
		return nil, errRefused
	}
	var listed []grant.Record
	for _, r := range m.records {
		if r.Key().ID() > after {
			listed = append(listed, r)
		}
	}
	slices.SortFunc(listed, func(a, b grant.Record) int { return strings.Compare(a.Key().ID(), b.Key().ID()) })
	return listed, nil
}

func (m *reference) readDelivery(key grant.DeliveryKey) (grant.Delivery, error) {
	d, ok := m.deliveries[key]
	if !ok {
		return grant.Delivery{}, grant.ErrNotFound
	}
	return d, nil
}

func (m *reference) writeDelivery(was, now grant.Delivery, given grant.Revision) (grant.Delivery, error) {
	now.Revision = was.Revision
	switch {
	case was.Key != now.Key || now.ExpireAt.IsZero():
		return grant.Delivery{}, errRefused
	case reflect.DeepEqual(was, now):
		return was, nil
	case was.Revision != m.deliveries[now.Key].Revision:
		return grant.Delivery{}, grant.ErrConflict
	}
	now.Revision = given
	m.deliveries[now.Key] = now
	return now, m.use(now.Key, given)
}

func (m *reference) readAccount(id string) (grant.Account, error) {
	a, ok := m.accounts[id]
	if !ok {
		return grant.Account{}, grant.ErrNotFound
	}
	return a, nil
}

func (m *reference) writeAccount(was, now grant.Account, given grant.Revision) (grant.Account, error) {
	now.Revision = was.Revision
	switch {
	case was.ID != now.ID || now.Customer == "":
		return grant.Account{}, errRefused
	case was == now:
		return was, nil
	case was.Revision != m.accounts[now.ID].Revision:
		return grant.Account{}, grant.ErrConflict
	}
	now.Revision = given
	m.accounts[now.ID] = now
	return now, m.use(now.ID, given)
}

func (m *reference) erase(key grant.Key) grant.Erased {
	left := func() grant.Erased {
		return grant.Erased{Records: len(m.records), Deliveries: len(m.deliveries), Accounts: len(m.accounts)}
	}
	before := left()
	delete(m.records, key)
	maps.DeleteFunc(m.deliveries, func(k grant.DeliveryKey, _ grant.Delivery) bool { return k.Customer == key.ID() })
	maps.DeleteFunc(m.accounts, func(_ string, a grant.Account) bool { return a.Customer == key.ID() })
	after := left()
	return grant.Erased{
		Records: before.Records - after.Records, Deliveries: before.Deliveries - after.Deliveries, Accounts: before.Accounts - after.Accounts,
	}
}
