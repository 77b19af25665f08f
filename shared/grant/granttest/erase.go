package granttest

import (
	"context"
	"fmt"

	"github.com/gatepostdev/gatepost/shared/grant"
)

var eraseChecks = []Check{
	{"of an erased customer nothing is left", checkErase},
	{"deliveries are erased without a record", checkEraseDeliveries},
	{"erasing nobody is no error", checkEraseNobody},
	{"an erased customer's neighbours stay", checkEraseNeighbours},
	{"an erased customer can come back", checkEraseAndCreate},
}

func wantErased(ctx context.Context, s grant.Admin, key grant.Key, want grant.Erased) error {
	got, err := s.Erase(ctx, key)
	if err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	if got != want {
		return fmt.Errorf("erase: removed %+v, want %+v", got, want)
	}
	return nil
}

// deliveriesOf stores n deliveries of a customer, of whom no record is needed.
func deliveriesOf(ctx context.Context, s grant.Store, customer string, n int) ([]grant.Delivery, error) {
	var written []grant.Delivery
	for i := range n {
		d := fullDelivery(fmt.Sprint("e-", i), i+1)
		d.Key.Customer = customer
		stored, err := createDelivery(ctx, s, d)
		if err != nil {
			return nil, err
		}
		written = append(written, stored)
	}
	return written, nil
}

func wantNoDeliveries(ctx context.Context, s grant.Store, deliveries []grant.Delivery) error {
	for _, d := range deliveries {
		_, err := s.ReadDelivery(ctx, d.Key)
		if err := wantError("read the delivery of "+d.Key.EventID, err, grant.ErrNotFound); err != nil {
			return err
		}
	}
	return nil
}

// checkErase erases a record that was changed since anybody could have read it:
// no revision is asked for.
func checkErase(ctx context.Context, s grant.Admin) error {
	first, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	second, err := s.Write(ctx, first, fullRecord(user("u-1"), 2))
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	deliveries, err := deliveriesOf(ctx, s, user("u-1").ID(), 5)
	if err != nil {
		return err
	}
	if err := wantErased(ctx, s, user("u-1"), grant.Erased{Records: 1, Deliveries: 5}); err != nil {
		return err
	}
	if err := wantGone(ctx, s, second); err != nil {
		return err
	}
	return wantNoDeliveries(ctx, s, deliveries)
}

func checkEraseDeliveries(ctx context.Context, s grant.Admin) error {
	deliveries, err := deliveriesOf(ctx, s, user("u-1").ID(), 2)
	if err != nil {
		return err
	}
	if err := wantErased(ctx, s, user("u-1"), grant.Erased{Deliveries: 2}); err != nil {
		return err
	}
	return wantNoDeliveries(ctx, s, deliveries)
}

func checkEraseNobody(ctx context.Context, s grant.Admin) error {
	if err := wantErased(ctx, s, user("u-1"), grant.Erased{}); err != nil {
		return err
	}
	if err := createAll(ctx, s, fullRecord(user("u-1"), 1)); err != nil {
		return err
	}
	for _, want := range []grant.Erased{{Records: 1}, {}} {
		if err := wantErased(ctx, s, user("u-1"), want); err != nil {
			return err
		}
	}
	return nil
}

// checkEraseNeighbours has customers whose ids begin or end like the one that
// is erased, or lie right before or behind it. No hash gives such ids.
func checkEraseNeighbours(ctx context.Context, s grant.Admin) error {
	id := user("u-1").ID()
	last := len(id) - 1
	var deliveries []grant.Delivery
	for _, customer := range []string{
		id[:last], id + "0", id[1:], "0" + id, id[:last] + string(id[last]-1), id[:last] + string(id[last]+1), id[:last] + "~", user("u-2").ID(),
	} {
		written, err := deliveriesOf(ctx, s, customer, 1)
		if err != nil {
			return err
		}
		deliveries = append(deliveries, written...)
	}
	other, err := create(ctx, s, fullRecord(user("u-2"), 1))
	if err != nil {
		return err
	}
	sameUser, err := create(ctx, s, fullRecord(grant.Key{Skill: "another", UserID: "u-1"}, 1))
	if err != nil {
		return err
	}
	if err := createAll(ctx, s, fullRecord(user("u-1"), 1)); err != nil {
		return err
	}
	if err := wantErased(ctx, s, user("u-1"), grant.Erased{Records: 1}); err != nil {
		return err
	}
	for _, d := range deliveries {
		if err := wantStoredDelivery(ctx, s, d); err != nil {
			return fmt.Errorf("delivery of customer %s, when %s was erased: %w", d.Key.Customer, id, err)
		}
	}
	if err := wantStored(ctx, s, sameUser); err != nil {
		return err
	}
	return wantStored(ctx, s, other)
}

func checkEraseAndCreate(ctx context.Context, s grant.Admin) error {
	was, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	gone, err := createDelivery(ctx, s, fullDelivery("e-1", 1))
	if err != nil {
		return err
	}
	if err := wantErased(ctx, s, user("u-1"), grant.Erased{Records: 1, Deliveries: 1}); err != nil {
		return err
	}
	again, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	delivery, err := createDelivery(ctx, s, fullDelivery("e-1", 1))
	if err != nil {
		return err
	}
	if again.Revision == was.Revision || delivery.Revision == gone.Revision {
		return fmt.Errorf("revision %d of the record or %d of the delivery is back", was.Revision, gone.Revision)
	}
	if err := wantStored(ctx, s, again); err != nil {
		return err
	}
	return wantStoredDelivery(ctx, s, delivery)
}
