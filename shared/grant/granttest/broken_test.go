package granttest_test

import (
	"context"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// broken is a store of which some methods are replaced by wrong ones.
type broken struct {
	grant.Store
	read          func(context.Context, grant.Key) (grant.Record, error)
	write         func(ctx context.Context, was, now grant.Record) (grant.Record, error)
	due           func(context.Context, grant.DueQuery) (grant.DuePage, error)
	readDelivery  func(context.Context, grant.DeliveryKey) (grant.Delivery, error)
	writeDelivery func(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error)
}

func (b broken) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	if b.read == nil {
		return b.Store.Read(ctx, key)
	}
	return b.read(ctx, key)
}

func (b broken) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	if b.write == nil {
		return b.Store.Write(ctx, was, now)
	}
	return b.write(ctx, was, now)
}

func (b broken) Due(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
	if b.due == nil {
		return b.Store.Due(ctx, q)
	}
	return b.due(ctx, q)
}

func (b broken) ReadDelivery(ctx context.Context, key grant.DeliveryKey) (grant.Delivery, error) {
	if b.readDelivery == nil {
		return b.Store.ReadDelivery(ctx, key)
	}
	return b.readDelivery(ctx, key)
}

func (b broken) WriteDelivery(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
	if b.writeDelivery == nil {
		return b.Store.WriteDelivery(ctx, was, now)
	}
	return b.writeDelivery(ctx, was, now)
}

// onRecords changes every record that a store returns.
func onRecords(s grant.Store, change func(r *grant.Record)) grant.Store {
	changed := func(r grant.Record, err error) (grant.Record, error) {
		if err == nil {
			r = r.Clone()
			change(&r)
		}
		return r, err
	}
	return broken{
		Store: s,
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
	}
}

// onGrants changes every grant that a store returns.
func onGrants(s grant.Store, change func(g *grant.Grant)) grant.Store {
	return onRecords(s, func(r *grant.Record) {
		for id, g := range r.Grants {
			change(&g)
			r.Grants[id] = g
		}
	})
}

// onWrites changes every record before it is written.
func onWrites(s grant.Store, change func(r *grant.Record)) grant.Store {
	return broken{Store: s, write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
		now = now.Clone()
		change(&now)
		return s.Write(ctx, was, now)
	}}
}

// onPages changes every page that a store returns.
func onPages(s grant.Store, change func(q grant.DueQuery, page *grant.DuePage)) grant.Store {
	return broken{Store: s, due: func(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
		page, err := s.Due(ctx, q)
		if err == nil {
			change(q, &page)
		}
		return page, err
	}}
}

// onQueries changes every query before it is answered.
func onQueries(s grant.Store, change func(q *grant.DueQuery)) grant.Store {
	return broken{Store: s, due: func(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
		change(&q)
		return s.Due(ctx, q)
	}}
}

// onDeliveries changes every delivery that a store returns.
func onDeliveries(s grant.Store, change func(d *grant.Delivery)) grant.Store {
	changed := func(d grant.Delivery, err error) (grant.Delivery, error) {
		if err == nil {
			change(&d)
		}
		return d, err
	}
	return broken{
		Store: s,
		readDelivery: func(ctx context.Context, key grant.DeliveryKey) (grant.Delivery, error) {
			return changed(s.ReadDelivery(ctx, key))
		},
		writeDelivery: func(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
			return changed(s.WriteDelivery(ctx, was, now))
		},
	}
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
