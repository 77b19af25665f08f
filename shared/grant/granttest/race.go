package granttest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gatepostdev/gatepost/shared/grant"
)

var raceChecks = []Check{
	{"of several creates one wins", checkCreateRace},
	{"of several updates from one revision one wins", checkUpdateRace},
	{"a lease has one holder", checkLeaseRace},
	{"of several claims of an event one wins", checkClaimRace},
	{"of several writers of an account one wins", checkAccountRace},
	{"of a delete and updates from one revision one wins", checkDeleteRace},
	{"no update is lost", checkLostUpdates},
}

const (
	racers = 3 // more make Firestore's emulator slow without proving more
	rounds = 8
)

// race lets the racers act at once. Exactly one must have no error, and the
// others a conflict; it returns the winner.
func race(act func(racer int) error) (winner int, err error) {
	start := make(chan struct{})
	errs := make([]error, racers)
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			<-start
			errs[i] = act(i)
		})
	}
	close(start)
	wg.Wait()
	wins := 0
	for i, err := range errs {
		switch {
		case err == nil:
			wins, winner = wins+1, i
		case !errors.Is(err, grant.ErrConflict):
			return 0, fmt.Errorf("a racer got error %w, want a conflict", err)
		}
	}
	if wins != 1 {
		return 0, fmt.Errorf("%d of %d racers won, want 1", wins, racers)
	}
	return winner, nil
}

func checkCreateRace(ctx context.Context, s grant.Admin) error {
	for round := range rounds {
		key := user(fmt.Sprint("u-", round))
		var won [racers]grant.Record
		winner, err := race(func(i int) (err error) {
			won[i], err = create(ctx, s, fullRecord(key, i+1))
			return err
		})
		if err != nil {
			return err
		}
		if err := wantStored(ctx, s, won[winner]); err != nil {
			return err
		}
	}
	return nil
}

func checkUpdateRace(ctx context.Context, s grant.Admin) error {
	r, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	for round := range rounds {
		was := r
		var won [racers]grant.Record
		winner, err := race(func(i int) (err error) {
			// Each changes another field: a mask is no excuse for two winners.
			now := was.Clone()
			now.Grants[fmt.Sprintf("g%d", i+1)] = fullGrant(10*round + i + 5)
			won[i], err = s.Write(ctx, was, now)
			return err
		})
		if err != nil {
			return err
		}
		r = won[winner]
		if err := wantStored(ctx, s, r); err != nil {
			return err
		}
	}
	return nil
}

// checkLeaseRace takes a lease as a process does that wants to refresh.
func checkLeaseRace(ctx context.Context, s grant.Admin) error {
	for round := range rounds {
		key := user(fmt.Sprint("u-", round))
		if _, err := create(ctx, s, fullRecord(key, 1)); err != nil {
			return err
		}
		winner, err := race(func(i int) error { return takeLease(ctx, s, key, fmt.Sprint("racer-", i)) })
		if err != nil {
			return err
		}
		got, err := s.Read(ctx, key)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if owner, want := got.Grants["g1"].Lease.Owner, fmt.Sprint("racer-", winner); owner != want {
			return fmt.Errorf("the lease was given to %s and is held by %s", want, owner)
		}
	}
	return nil
}

// takeLease returns ErrConflict when somebody else holds the lease.
func takeLease(ctx context.Context, s grant.Store, key grant.Key, owner string) error {
	for {
		was, err := s.Read(ctx, key)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if was.Grants["g1"].Lease.Held(owner, timeOf(5)) {
			return grant.ErrConflict
		}
		now := withGrant(was, "g1", func(g *grant.Grant) { g.Lease = grant.Lease{Owner: owner, Until: timeOf(10)} })
		if _, err = s.Write(ctx, was, now); !errors.Is(err, grant.ErrConflict) {
			return err
		}
	}
}

func checkClaimRace(ctx context.Context, s grant.Admin) error {
	for round := range rounds {
		eventID := fmt.Sprint("e-", round)
		var was grant.Delivery
		for _, claim := range []int{1, 5} { // of a new event, then of one whose claim ran out
			var won [racers]grant.Delivery
			winner, err := race(func(i int) (err error) {
				now := fullDelivery(eventID, claim+i)
				from := was
				from.Key = now.Key
				won[i], err = s.WriteDelivery(ctx, from, now)
				return err
			})
			if err != nil {
				return err
			}
			was = won[winner]
			if err := wantStoredDelivery(ctx, s, was); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkAccountRace(ctx context.Context, s grant.Admin) error {
	for round := range rounds {
		amazonUser := fmt.Sprint("a-", round)
		var was grant.Account
		for _, event := range []int{1, 5} { // the account's first, and a later one
			var won [racers]grant.Account
			winner, err := race(func(i int) (err error) {
				now := fullAccount(amazonUser, event+i)
				from := was
				from.ID = now.ID
				won[i], err = s.WriteAccount(ctx, from, now)
				return err
			})
			if err != nil {
				return err
			}
			was = won[winner]
			if err := wantStoredAccount(ctx, s, was); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkDeleteRace(ctx context.Context, s grant.Admin) error {
	for round := range rounds {
		was, err := create(ctx, s, fullRecord(user(fmt.Sprint("u-", round)), 1))
		if err != nil {
			return err
		}
		var won [racers]grant.Record
		winner, err := race(func(i int) (err error) {
			if i == 0 {
				return s.Delete(ctx, was)
			}
			won[i], err = s.Write(ctx, was, withGrant(was, "g1", func(g *grant.Grant) { g.Failures = 9 + i }))
			return err
		})
		if err != nil {
			return err
		}
		if winner == 0 {
			err = wantGone(ctx, s, was)
		} else {
			err = wantStored(ctx, s, won[winner])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkLostUpdates lets the racers count in one field. Whoever conflicts does
// not try again, so that what is stored is what succeeded.
func checkLostUpdates(ctx context.Context, s grant.Admin) error {
	r, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	var counted [racers]int
	var errs [racers]error
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() { counted[i], errs[i] = countUpdates(ctx, s, r.Key()) })
	}
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	want := r.Grants["g1"].Failures
	for _, n := range counted {
		want += n
	}
	if r, err = s.Read(ctx, r.Key()); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if got := r.Grants["g1"].Failures; got != want {
		return fmt.Errorf("%d updates are stored, want the %d that succeeded", got, want)
	}
	return nil
}

// countUpdates adds one to a field many times, and returns how often it could.
func countUpdates(ctx context.Context, s grant.Store, key grant.Key) (succeeded int, err error) {
	for range 2 * rounds {
		was, err := s.Read(ctx, key)
		if err != nil {
			return 0, fmt.Errorf("read: %w", err)
		}
		_, err = s.Write(ctx, was, withGrant(was, "g1", func(g *grant.Grant) { g.Failures++ }))
		if err == nil {
			succeeded++
		} else if !errors.Is(err, grant.ErrConflict) {
			return 0, fmt.Errorf("update: %w", err)
		}
	}
	return succeeded, nil
}
