package granttest_test

import (
	"context"
	"maps"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// broken is a store of which some methods are replaced by wrong ones.
type broken struct {
	grant.Admin
	read          func(context.Context, grant.Key) (grant.Record, error)
	write         func(ctx context.Context, was, now grant.Record) (grant.Record, error)
	due           func(context.Context, grant.DueQuery) (grant.DuePage, error)
	readDelivery  func(context.Context, grant.DeliveryKey) (grant.Delivery, error)
	writeDelivery func(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error)
	readAccount   func(ctx context.Context, id string) (grant.Account, error)
	writeAccount  func(ctx context.Context, was, now grant.Account) (grant.Account, error)
	readControl   func(ctx context.Context, name string) (grant.Control, error)
	writeControl  func(ctx context.Context, was, now grant.Control) (grant.Control, error)
	countDue      func(context.Context, grant.DueQuery) (int, error)
	countAll      func(context.Context) (int, error)
	delete        func(context.Context, grant.Record) error
	list          func(ctx context.Context, after string, limit int) (grant.ListPage, error)
	erase         func(context.Context, grant.Key) (grant.Erased, error)
}

func (b broken) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	if b.read == nil {
		return b.Admin.Read(ctx, key)
	}
	return b.read(ctx, key)
}

func (b broken) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	if b.write == nil {
		return b.Admin.Write(ctx, was, now)
	}
	return b.write(ctx, was, now)
}

func (b broken) Due(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
	if b.due == nil {
		return b.Admin.Due(ctx, q)
	}
	return b.due(ctx, q)
}

func (b broken) ReadDelivery(ctx context.Context, key grant.DeliveryKey) (grant.Delivery, error) {
	if b.readDelivery == nil {
		return b.Admin.ReadDelivery(ctx, key)
	}
	return b.readDelivery(ctx, key)
}

func (b broken) WriteDelivery(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
	if b.writeDelivery == nil {
		return b.Admin.WriteDelivery(ctx, was, now)
	}
	return b.writeDelivery(ctx, was, now)
}

func (b broken) ReadAccount(ctx context.Context, id string) (grant.Account, error) {
	if b.readAccount == nil {
		return b.Admin.ReadAccount(ctx, id)
	}
	return b.readAccount(ctx, id)
}

func (b broken) WriteAccount(ctx context.Context, was, now grant.Account) (grant.Account, error) {
	if b.writeAccount == nil {
		return b.Admin.WriteAccount(ctx, was, now)
	}
	return b.writeAccount(ctx, was, now)
}

func (b broken) ReadControl(ctx context.Context, name string) (grant.Control, error) {
	if b.readControl == nil {
		return b.Admin.ReadControl(ctx, name)
	}
	return b.readControl(ctx, name)
}

func (b broken) WriteControl(ctx context.Context, was, now grant.Control) (grant.Control, error) {
	if b.writeControl == nil {
		return b.Admin.WriteControl(ctx, was, now)
	}
	return b.writeControl(ctx, was, now)
}

func (b broken) CountCustomers(ctx context.Context) (int, error) {
	if b.countAll == nil {
		return b.Admin.CountCustomers(ctx)
	}
	return b.countAll(ctx)
}

func (b broken) CountDue(ctx context.Context, q grant.DueQuery) (int, error) {
	if b.countDue == nil {
		return b.Admin.CountDue(ctx, q)
	}
	return b.countDue(ctx, q)
}

func (b broken) Delete(ctx context.Context, was grant.Record) error {
	if b.delete == nil {
		return b.Admin.Delete(ctx, was)
	}
	return b.delete(ctx, was)
}

func (b broken) List(ctx context.Context, after string, limit int) (grant.ListPage, error) {
	if b.list == nil {
		return b.Admin.List(ctx, after, limit)
	}
	return b.list(ctx, after, limit)
}

func (b broken) Erase(ctx context.Context, key grant.Key) (grant.Erased, error) {
	if b.erase == nil {
		return b.Admin.Erase(ctx, key)
	}
	return b.erase(ctx, key)
}

// onRecords changes every record that a store returns.
func onRecords(s grant.Admin, change func(r *grant.Record)) grant.Admin {
	changed := func(r grant.Record, err error) (grant.Record, error) {
		if err == nil {
			r = r.Clone()
			change(&r)
		}
		return r, err
	}
	return broken{
		Admin: s,
		read:  func(ctx context.Context, key grant.Key) (grant.Record, error) { return changed(s.Read(ctx, key)) },
		write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
			return changed(s.Write(ctx, was, now))
		},
		due: func(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
			page, err := s.Due(ctx, q)
			for i := range page.Records {
				page.Records[i], _ = changed(page.Records[i], nil)
			}
			return page, err
		},
		list: func(ctx context.Context, after string, limit int) (grant.ListPage, error) {
			page, err := s.List(ctx, after, limit)
			for i := range page.Records {
				page.Records[i], _ = changed(page.Records[i], nil)
			}
			return page, err
		},
	}
}

// onGrants changes every grant that a store returns.
func onGrants(s grant.Admin, change func(g *grant.Grant)) grant.Admin {
	return onRecords(s, func(r *grant.Record) {
		for id, g := range r.Grants {
			change(&g)
			r.Grants[id] = g
		}
	})
}

// onWrites changes every record before it is written.
func onWrites(s grant.Admin, change func(r *grant.Record)) grant.Admin {
	return broken{Admin: s, write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
		now = now.Clone()
		change(&now)
		return s.Write(ctx, was, now)
	}}
}

// onPages changes every page that a store returns.
func onPages(s grant.Admin, change func(q grant.DueQuery, page *grant.DuePage)) grant.Admin {
	return broken{Admin: s, due: func(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
		page, err := s.Due(ctx, q)
		if err == nil {
			change(q, &page)
		}
		return page, err
	}}
}

// onQueries changes every query before it is answered.
func onQueries(s grant.Admin, change func(q *grant.DueQuery)) grant.Admin {
	return broken{Admin: s, due: func(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
		change(&q)
		return s.Due(ctx, q)
	}}
}

// onCounts changes every query before its records are counted.
func onCounts(s grant.Admin, change func(q *grant.DueQuery)) grant.Admin {
	return broken{Admin: s, countDue: func(ctx context.Context, q grant.DueQuery) (int, error) {
		change(&q)
		return s.CountDue(ctx, q)
	}}
}

// onLists changes every page of a list.
func onLists(s grant.Admin, change func(page *grant.ListPage)) grant.Admin {
	return broken{Admin: s, list: func(ctx context.Context, after string, limit int) (grant.ListPage, error) {
		page, err := s.List(ctx, after, limit)
		if err == nil {
			change(&page)
		}
		return page, err
	}}
}

// onDeliveries changes every delivery that a store returns.
func onDeliveries(s grant.Admin, change func(d *grant.Delivery)) grant.Admin {
	changed := func(d grant.Delivery, err error) (grant.Delivery, error) {
		if err == nil {
			change(&d)
		}
		return d, err
	}
	return broken{
		Admin: s,
		readDelivery: func(ctx context.Context, key grant.DeliveryKey) (grant.Delivery, error) {
			return changed(s.ReadDelivery(ctx, key))
		},
		writeDelivery: func(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
			return changed(s.WriteDelivery(ctx, was, now))
		},
	}
}

// onAccounts changes every account that a store returns.
func onAccounts(s grant.Admin, change func(a *grant.Account)) grant.Admin {
	changed := func(a grant.Account, err error) (grant.Account, error) {
		if err == nil {
			change(&a)
		}
		return a, err
	}
	return broken{
		Admin:       s,
		readAccount: func(ctx context.Context, id string) (grant.Account, error) { return changed(s.ReadAccount(ctx, id)) },
		writeAccount: func(ctx context.Context, was, now grant.Account) (grant.Account, error) {
			return changed(s.WriteAccount(ctx, was, now))
		},
	}
}

// onControls changes every control document before it is written.
func onControls(s grant.Admin, change func(was, now *grant.Control)) grant.Admin {
	return broken{Admin: s, writeControl: func(ctx context.Context, was, now grant.Control) (grant.Control, error) {
		now.Document = maps.Clone(now.Document)
		change(&was, &now)
		return s.WriteControl(ctx, was, now)
	}}
}

// current is what is stored now, or the record of a new customer.
func current(ctx context.Context, s grant.Store, key grant.Key) grant.Record {
	r, err := s.Read(ctx, key)
	if err != nil {
		return grant.New(key)
	}
	return r
}

func currentDelivery(ctx context.Context, s grant.Store, key grant.DeliveryKey) grant.Delivery {
	d, err := s.ReadDelivery(ctx, key)
	if err != nil {
		return grant.Delivery{Key: key}
	}
	return d
}

func currentAccount(ctx context.Context, s grant.Store, id string) grant.Account {
	a, err := s.ReadAccount(ctx, id)
	if err != nil {
		return grant.Account{ID: id}
	}
	return a
}

func currentControl(ctx context.Context, s grant.Store, name string) grant.Control {
	c, err := s.ReadControl(ctx, name)
	if err != nil {
		return grant.Control{Name: name}
	}
	return c
}
