package granttest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

var deliveryChecks = []Check{
	{"a delivery never written is not found", checkDeliveryMissing},
	{"a created delivery reads back", checkDeliveryCreate},
	{"a second create of a delivery conflicts", checkDeliveryCreateTwice},
	{"an update of a delivery replaces it whole", checkDeliveryReplace},
	{"a stale revision of a delivery conflicts", checkDeliveryStale},
	{"an update of a delivery that is not stored conflicts", checkDeliveryUpdateOfMissing},
	{"a delivery is not written when nothing differs", checkDeliveryNothingDiffers},
	{"a delivery does not move to another key", checkDeliveryMove},
	{"customer and event together are a delivery's key", checkDeliveryKeys},
	{"an expired delivery can be replaced", checkDeliveryExpired},
	{"a delivery without ExpireAt is refused", checkDeliveryExpireAt},
	{"a delivery's times are cut to microseconds in UTC", checkDeliveryTimes},
	{"a delivery is not shared with the caller", checkDeliveryShared},
}

func checkDeliveryMissing(ctx context.Context, s grant.Admin) error {
	_, err := s.ReadDelivery(ctx, fullDelivery("e-1", 1).Key)
	return wantError("read a delivery", err, grant.ErrNotFound)
}

func checkDeliveryCreate(ctx context.Context, s grant.Admin) error {
	bare := grant.Delivery{Key: grant.DeliveryKey{Customer: user("u-1").ID(), EventID: "bare"}, ExpireAt: timeOf(1)}
	for _, want := range []grant.Delivery{fullDelivery("e-1", 1), bare} {
		written, err := createDelivery(ctx, s, want)
		if err != nil {
			return err
		}
		if written.Revision == 0 {
			return errors.New("create a delivery: it has no revision")
		}
		want.Revision = written.Revision
		if err := wantDelivery("create a delivery", written, want); err != nil {
			return err
		}
		if err := wantStoredDelivery(ctx, s, want); err != nil {
			return err
		}
	}
	return nil
}

func checkDeliveryCreateTwice(ctx context.Context, s grant.Admin) error {
	first, err := createDelivery(ctx, s, fullDelivery("e-1", 1))
	if err != nil {
		return err
	}
	_, err = createDelivery(ctx, s, fullDelivery("e-1", 2))
	if err := wantError("create again", err, grant.ErrConflict); err != nil {
		return err
	}
	return wantStoredDelivery(ctx, s, first)
}

// checkDeliveryReplace writes from a value that tells something else than what
// is stored: without a field mask that makes no difference.
func checkDeliveryReplace(ctx context.Context, s grant.Admin) error {
	stored, err := createDelivery(ctx, s, fullDelivery("e-1", 1))
	if err != nil {
		return err
	}
	for n := 2; n >= 0; n-- {
		want := fullDelivery("e-1", n)
		if n == 0 {
			want.Accepted = nil
		}
		was := want
		was.ExpireAt = timeOf(50)
		was.Revision = stored.Revision
		written, err := s.WriteDelivery(ctx, was, want)
		if err != nil {
			return fmt.Errorf("update: %w", err)
		}
		if written.Revision == stored.Revision {
			return fmt.Errorf("update: the revision is still %d", stored.Revision)
		}
		want.Revision = written.Revision
		if err := wantDelivery("update", written, want); err != nil {
			return err
		}
		if err := wantStoredDelivery(ctx, s, want); err != nil {
			return err
		}
		stored = written
	}
	return nil
}

func checkDeliveryStale(ctx context.Context, s grant.Admin) error {
	first, err := createDelivery(ctx, s, fullDelivery("e-1", 1))
	if err != nil {
		return err
	}
	second, err := s.WriteDelivery(ctx, first, fullDelivery("e-1", 2))
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	_, err = s.WriteDelivery(ctx, first, fullDelivery("e-1", 3))
	if err := wantError("update from the first revision", err, grant.ErrConflict); err != nil {
		return err
	}
	return wantStoredDelivery(ctx, s, second)
}

func checkDeliveryUpdateOfMissing(ctx context.Context, s grant.Admin) error {
	other, err := createDelivery(ctx, s, fullDelivery("e-1", 1))
	if err != nil {
		return err
	}
	was := fullDelivery("e-2", 1)
	was.Revision = other.Revision
	_, err = s.WriteDelivery(ctx, was, fullDelivery("e-2", 2))
	if err := wantError("update", err, grant.ErrConflict); err != nil {
		return err
	}
	_, err = s.ReadDelivery(ctx, was.Key)
	return wantError("read", err, grant.ErrNotFound)
}

func checkDeliveryNothingDiffers(ctx context.Context, s grant.Admin) error {
	stale, err := createDelivery(ctx, s, fullDelivery("e-1", 1))
	if err != nil {
		return err
	}
	newest, err := s.WriteDelivery(ctx, stale, fullDelivery("e-1", 2))
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	got, err := s.WriteDelivery(ctx, stale, fullDelivery("e-1", 1))
	if err != nil {
		return fmt.Errorf("write a stale delivery as it was: %w", err)
	}
	if err := wantDelivery("write a stale delivery as it was", got, stale); err != nil {
		return err
	}
	return wantStoredDelivery(ctx, s, newest)
}

func checkDeliveryMove(ctx context.Context, s grant.Admin) error {
	first, err := createDelivery(ctx, s, fullDelivery("e-1", 1))
	if err != nil {
		return err
	}
	_, err = s.WriteDelivery(ctx, first, fullDelivery("e-2", 1))
	if err := wantRefused("write under another key", err); err != nil {
		return err
	}
	_, err = s.ReadDelivery(ctx, fullDelivery("e-2", 1).Key)
	return wantError("read the other key", err, grant.ErrNotFound)
}

func checkDeliveryKeys(ctx context.Context, s grant.Admin) error {
	var keys []grant.DeliveryKey
	for _, customer := range []string{user("u-1").ID(), user("u-2").ID()} {
		for _, event := range []string{"1", "2", "a/b", "..", "__e__", "ü 😀", strings.Repeat("e", 128)} {
			keys = append(keys, grant.DeliveryKey{Customer: customer, EventID: event})
		}
	}
	var written []grant.Delivery
	for i, key := range keys {
		d := fullDelivery("", i+1)
		d.Key = key
		stored, err := createDelivery(ctx, s, d)
		if err != nil {
			return fmt.Errorf("%q: %w", key.EventID, err)
		}
		written = append(written, stored)
	}
	for _, d := range written {
		if err := wantStoredDelivery(ctx, s, d); err != nil {
			return fmt.Errorf("%q: %w", d.Key.EventID, err)
		}
	}
	return nil
}

// checkDeliveryExpired knows two kinds of stores: those that return what is
// expired, and those that take it for gone. Both let it be written anew.
func checkDeliveryExpired(ctx context.Context, s grant.Admin) error {
	expired := fullDelivery("e-1", 1)
	expired.ExpireAt = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	written, err := createDelivery(ctx, s, expired)
	if err != nil {
		return err
	}
	if at := expired.ExpireAt; !written.Live(at.Add(-time.Microsecond)) || written.Live(at) {
		return fmt.Errorf("a delivery that expires at %v is live at the wrong time", at)
	}
	was, err := s.ReadDelivery(ctx, expired.Key)
	if errors.Is(err, grant.ErrNotFound) {
		was, err = grant.Delivery{Key: expired.Key}, nil
	}
	if err != nil {
		return fmt.Errorf("read an expired delivery: %w", err)
	}
	again, err := s.WriteDelivery(ctx, was, fullDelivery("e-1", 2))
	if err != nil {
		return fmt.Errorf("replace an expired delivery: %w", err)
	}
	if !again.Live(timeOf(3)) {
		return errors.New("a delivery that was written anew is not live")
	}
	return nil
}

func checkDeliveryExpireAt(ctx context.Context, s grant.Admin) error {
	d := fullDelivery("e-1", 1)
	d.ExpireAt = time.Time{}
	_, err := createDelivery(ctx, s, d)
	return wantRefused("create a delivery without ExpireAt", err)
}

func checkDeliveryTimes(ctx context.Context, s grant.Admin) error {
	want := fullDelivery("e-1", 1)
	given := want
	given.ClaimedUntil = want.ClaimedUntil.Add(999).In(time.FixedZone("far", 3600))
	given.ExpireAt = want.ExpireAt.Add(1)
	written, err := createDelivery(ctx, s, given)
	if err != nil {
		return err
	}
	want.Revision = written.Revision
	if err := wantDelivery("create a delivery", written, want); err != nil {
		return err
	}
	if at := written.ClaimedUntil; at.Location() != time.UTC {
		return fmt.Errorf("a time came back as %v, want UTC", at)
	}
	return wantStoredDelivery(ctx, s, want)
}

func checkDeliveryShared(ctx context.Context, s grant.Admin) error {
	given := fullDelivery("e-1", 1)
	written, err := createDelivery(ctx, s, given)
	if err != nil {
		return err
	}
	given.Accepted[0], written.Accepted[1] = "scribbled", "scribbled"
	want := fullDelivery("e-1", 1)
	want.Revision = written.Revision
	for range 2 {
		read, err := s.ReadDelivery(ctx, want.Key)
		if err != nil {
			return fmt.Errorf("read a delivery: %w", err)
		}
		if err := wantDelivery("after a change to what was given and returned", read, want); err != nil {
			return err
		}
		read.Accepted[0] = "scribbled"
	}
	return nil
}
