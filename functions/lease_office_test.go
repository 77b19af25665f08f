package functions_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	gcloud "github.com/gatepostdev/gatepost/shared/testkit/cloud"
)

// office is a database that several processes sweep without a topic, each of
// them all buckets.
type office struct {
	amazon amazon
	store  *grantfire.Store
	env    map[string]string
	grants map[string]string // id of each customer's grant, by userId
}

func newOffice(t *testing.T) *office {
	t.Helper()
	c := gcloud.New(t)
	a := newAmazon(t, simulator.Options{})
	return &office{
		amazon: a, store: grantfire.New(c.Database(t, databaseID(leaseRegion))), grants: make(map[string]string),
		env: with(a.env(leaseRegion), map[string]string{
			"FIRESTORE_DATABASE":      databaseID(leaseRegion),
			"FIRESTORE_EMULATOR_HOST": c.FirestoreHost,
			"GOOGLE_CLOUD_PROJECT":    c.ID,
			"GRANT_STORE":             "firestore",
			"TOKEN_KEYSET":            "file:" + newKeyset(t),
		}),
	}
}

// linkAll has customers enable the skill.
func (o *office) linkAll(t *testing.T, p *binary.Process, customers []customer) {
	t.Helper()
	var all errgroup.Group
	all.SetLimit(8)
	for _, c := range customers {
		code := o.amazon.Code(leaseRegion, c.amazonUser)
		o.grants[c.userID] = grant.ID(leaseRegion, "default", code.Reveal())
		all.Go(func() error {
			a, err := send(testkit.Context(t), http.MethodPost, p.URL()+"/AcceptGrant", regionHeader(leaseRegion), c.directive(code))
			if err == nil && a.Status != http.StatusOK {
				err = fmt.Errorf("AcceptGrant answered %d %s", a.Status, a.Body)
			}
			return err
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	for userID := range o.grants {
		o.grant(t, userID)
	}
}

func (o *office) record(t *testing.T, userID string) grant.Record {
	t.Helper()
	record, err := o.store.Read(testkit.Context(t), grant.Key{Skill: "default", UserID: userID})
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func (o *office) grant(t *testing.T, userID string) grant.Grant {
	t.Helper()
	g, ok := o.record(t, userID).Grants[o.grants[userID]]
	if !ok {
		t.Fatalf("%s has no grant", userID)
	}
	return g
}

// makeDue lets so much time pass for customers that they are due.
func (o *office) makeDue(t *testing.T, users []string) {
	t.Helper()
	var all errgroup.Group
	all.SetLimit(8)
	due := time.Now().Add(-time.Minute)
	for _, userID := range users {
		all.Go(func() error {
			_, err := grant.Change(testkit.Context(t), o.store, grant.Key{Skill: "default", UserID: userID}, func(r *grant.Record) error {
				g := r.Grants[o.grants[userID]]
				g.RefreshDue = due
				if !g.RefusedAt.IsZero() { // an hour ago
					g.NextTry, g.RefusedAt = due, due.Add(-time.Hour)
				}
				r.Grants[o.grants[userID]], r.RefreshDue = g, due
				return nil
			})
			return err
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
}

// due returns the customers whom a sweep would find now.
func (o *office) due(t *testing.T) []string {
	t.Helper()
	var due []string
	for userID := range o.grants {
		if at := o.record(t, userID).RefreshDue; !at.IsZero() && at.Before(time.Now()) {
			due = append(due, userID)
		}
	}
	slices.Sort(due)
	return due
}

// given counts the refreshes that Login with Amazon carried out, by customer.
func (o *office) given() map[string]int64 {
	given := make(map[string]int64)
	for _, r := range o.amazon.LWARequests() {
		if r.Target == simulator.Refresh && r.Accepted {
			given[userIDOf(r)]++
		}
	}
	return given
}

// burnt returns the customers whose refresh token was shown to Login with
// Amazon after it had given another, and was refused.
func (o *office) burnt() []string {
	var burnt []string
	for _, r := range o.amazon.LWARequests() {
		if r.Target == simulator.Refresh && r.RotatedAway && !r.Accepted {
			burnt = append(burnt, userIDOf(r))
		}
	}
	slices.Sort(burnt)
	return slices.Compact(burnt)
}

// userIDOf is the customer that a request is about: see [newCustomer].
func userIDOf(r simulator.Request) string { return "u-" + strings.TrimPrefix(r.User, "amzn-") }

// unsaved returns the customers whose last tokens are not stored: Login with
// Amazon gave some more often than they were saved.
func (o *office) unsaved(t *testing.T) []string {
	t.Helper()
	var unsaved []string
	for userID, given := range o.given() {
		if given > o.grant(t, userID).TokenVersion-1 {
			unsaved = append(unsaved, userID)
		}
	}
	slices.Sort(unsaved)
	return unsaved
}

// sweepPatience is longer than a sweep may take: it may wait for the end of a
// lease.
const sweepPatience = time.Minute

// sweep has a process sweep.
func sweep(t *testing.T, p *binary.Process) *flight {
	t.Helper()
	return sendWithin(t, sweepPatience, p.URL()+"/RefreshTokens", "")
}

// wantSwept waits for the end of a sweep.
func wantSwept(t *testing.T, under *flight) {
	t.Helper()
	if <-under.done; under.err != nil || under.answer.Status != http.StatusOK {
		t.Fatalf("RefreshTokens answered %v (%v), want 200", under.answer, under.err)
	}
}

// sweepTogether has processes sweep at once, and returns when all have.
func sweepTogether(t *testing.T, processes []*binary.Process) {
	t.Helper()
	var all []*flight
	for _, p := range processes {
		all = append(all, sweep(t, p))
	}
	for _, under := range all {
		wantSwept(t, under)
	}
}

// sweepUntilDone has processes sweep together, again and again, until nothing
// is due: a lease that was left behind takes its time to end.
func (o *office) sweepUntilDone(t *testing.T, processes []*binary.Process) {
	t.Helper()
	eventually(t, "nothing is due", func() bool {
		sweepTogether(t, processes)
		return len(o.due(t)) == 0
	})
}

// eventually asks until something is so, which nobody tells when it happens.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, tick := testkit.Within(t, 2*sweepPatience), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waiting until %s: %v", what, context.Cause(ctx))
		}
	}
}
