package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/outcome"
	"github.com/gatepostdev/gatepost/shared/push"
)

// customer is whom an event is for.
type customer struct {
	record     grant.Record
	grants     []string // ids of the grants that the event is for
	remembered bool     // record was not read for this event
}

// customer returns the customer of an event.
//
// A remembered record is good for sending: a token that is no longer good is
// refused and refreshed, and whoever changes the record finds out that it is
// not the stored one. It is not good for saying anything about the customer.
// Events for which there is more to it than sending therefore read: those that
// come back, since something went wrong before, those that are too old, of which
// the maker is told, and replays. So does one that finds nobody to send it to.
func (d *Deliverer) customer(ctx context.Context, e *event, m push.Message) (customer, error) {
	key := grant.Key{Skill: d.Skill, UserID: e.UserID}
	if d.Customers != nil && m.Attempt <= 1 && e.grant == "" && !e.expired {
		record, remembered, err := d.Customers.Recent(ctx, key)
		if err != nil {
			return customer{}, err
		}
		grants := d.addressees(record, e)
		if !remembered || len(grants) > 0 {
			return customer{record, grants, remembered}, nil
		}
	}
	record, err := d.Store.Read(ctx, key)
	return customer{record, d.addressees(record, e), false}, err
}

// again sends an event once more when a grant of a remembered record turned out
// to be gone: to the grants that the customer has by now, among which may be
// the one that took its place. What became of the others stays as it is.
func (d *Deliverer) again(ctx context.Context, e *event, record grant.Record, results []Result, accepted []string) (grant.Record, []Result) {
	gone := func(r Result) bool {
		return r.Name == outcome.Revoked && record.Grants[r.GrantID].State != grant.Revoked
	}
	if !slices.ContainsFunc(results, gone) {
		return record, results
	}
	stored, err := d.Store.Read(ctx, record.Key())
	if errors.Is(err, grant.ErrNotFound) {
		return record, results // gone with its customer
	}
	if err != nil {
		err = fmt.Errorf("reading the customer again: %w", err)
		for i, r := range results {
			if gone(r) {
				results[i] = resultOf(r.GrantID, err)
			}
		}
		return record, results
	}
	done := slices.DeleteFunc(results, gone)
	isDone := func(id string) bool { return slices.ContainsFunc(done, func(r Result) bool { return r.GrantID == id }) }
	left := slices.DeleteFunc(d.addressees(stored, e), isDone)
	return stored, append(done, d.fanOut(ctx, e, stored, left, accepted)...)
}

// addressees returns the ids of the grants that an event is for, in a fixed
// order.
func (d *Deliverer) addressees(record grant.Record, e *event) []string {
	ids := make([]string, 0, len(record.Grants))
	for id, g := range record.Grants {
		if d.isFor(e, id, g.Region) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// isFor reports whether an event is for a grant. Grants of regions that this
// process does not serve are not its business.
func (d *Deliverer) isFor(e *event, id string, region alexa.Region) bool {
	_, served := d.Gateways[region]
	return served && (e.region == "" || region == e.region) && (e.grant == "" || e.grant == id)
}
