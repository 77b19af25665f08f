package functions_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// TestSweepersShareGrants has three processes sweep the same customers at
// once, while Login with Amazon ends every refresh token as soon as it gives
// another. Then one of them is killed halfway, and the others finish its work:
// no grant is lost but those whose new tokens were on their way to it.
func TestSweepersShareGrants(t *testing.T) {
	t.Parallel()
	o := &office{World: world.InCloud(t, simulator.Options{}).For(leaseRegion)}
	processes := []*binary.Process{o.Launch(t, ""), o.Launch(t, ""), o.Launch(t, "")}
	o.linkAll(t, processes[0], append(crowd(36), neighbours(4)...))
	everyone := slices.Sorted(maps.Keys(o.customers))

	// An answer that takes a while finds others waiting for it.
	o.Always(simulator.Refresh, simulator.Fault{Delay: 50 * time.Millisecond})
	o.makeDue(t, everyone)
	wantSwept(t, sweep(t, processes...))
	o.wantRefreshed(t, everyone, 2)
	if away := o.Counts().RotatedAway; away != 0 {
		t.Fatalf("%d refreshes with a token that was rotated away, want none", away)
	}

	o.makeDue(t, everyone)
	o.killMidSweep(t, processes[0], neighbours(4))
	// One survivor begins at once, the others a moment later: they do not look
	// at the leases that are left behind at the same times.
	early := sweep(t, processes[1])
	survivors := append(processes[1:], o.Launch(t, ""))
	o.sweepUntilDone(t, survivors[1:])
	wantSwept(t, early)
	o.sweepUntilDone(t, survivors)

	lost := o.unsaved(t)
	if !slices.Contains(lost, neighbours(1)[0].UserID) || len(lost) > 4 {
		t.Errorf("%v are lost; want the one whose answer was under way, and hardly more", lost)
	}
	living := slices.DeleteFunc(slices.Clone(everyone), func(userID string) bool { return slices.Contains(lost, userID) })
	o.wantRefreshed(t, living, 3)
	o.wantLost(t, lost, grant.Suspect, grant.ReasonRefreshUnknown)
	if t.Failed() {
		return // or what follows would wait in vain
	}

	// An hour is over.
	o.makeDue(t, lost)
	o.sweepUntilDone(t, survivors)
	o.wantLost(t, lost, grant.Revoked, grant.ReasonInvalidGrant)
}

// killMidSweep has a process sweep, and kills it while Login with Amazon
// answers. Of the given customers the first has new tokens by then, which the
// process never gets; the others' refreshes have not been carried out.
func (o *office) killMidSweep(t *testing.T, victim *binary.Process, customers []world.Customer) {
	t.Helper()
	const untilKilled = time.Minute
	arrived := make(chan struct{}, len(customers))
	for i, c := range customers {
		o.Script(simulator.Refresh, simulator.Fault{
			User: c.AmazonUser, AnswerLost: i == 0, Delay: untilKilled,
			Match: func(simulator.Request) bool { arrived <- struct{}{}; return true },
		})
	}
	under := sweep(t, victim)[0]
	for range customers {
		select {
		case <-arrived:
		case <-under.done:
			t.Fatalf("the sweep was answered %v (%v) before it was killed", under.answer, under.err)
		}
	}
	// Recorded means carried out.
	eventually(t, "Login with Amazon gives new tokens", func() bool { return o.given()[customers[0].UserID] == 2 })
	victim.Kill()
	<-under.done
}

// wantRefreshed checks that grants are active with tokens of a version, and
// that Login with Amazon was asked for each no more often than that.
func (o *office) wantRefreshed(t *testing.T, users []string, version int64) {
	t.Helper()
	given := o.given()
	for _, userID := range users {
		g := o.grant(t, userID)
		if g.State != grant.Active || g.TokenVersion != version || g.Lease != (grant.Lease{}) {
			t.Errorf("%s is %s %s, version %d, lease %v; want active, version %d, no lease",
				userID, g.State, g.Reason, g.TokenVersion, g.Lease, version)
		}
		if given[userID] != version-1 {
			t.Errorf("%s was refreshed %d times, want %d", userID, given[userID], version-1)
		}
	}
}

// wantLost checks that grants are lost, and that the simulator knows of the
// same ones: it refused the tokens that it had replaced.
func (o *office) wantLost(t *testing.T, users []string, state grant.State, reason string) {
	t.Helper()
	for _, userID := range users {
		if g := o.grant(t, userID); g.State != state || g.Reason != reason {
			t.Errorf("%s is %s %s, want %s %s", userID, g.State, g.Reason, state, reason)
		}
	}
	if diff := cmp.Diff(users, o.burnt(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("by the simulator, those who are lost differ (-want +got):\n%s", diff)
	}
}

// crowd makes customers.
func crowd(n int) (list []world.Customer) {
	for i := range n {
		list = append(list, world.NewCustomer(fmt.Sprint("lease-", i)))
	}
	return list
}

// neighbours makes customers of one bucket, who are swept at the same time
// however the buckets are dealt out.
func neighbours(n int) (list []world.Customer) {
	for i := 0; len(list) < n; i++ {
		if c := world.NewCustomer(fmt.Sprint("lease-neighbour-", i)); c.Key().Bucket() == grant.Buckets/2 {
			list = append(list, c)
		}
	}
	return list
}

// leaseRegion is where all these customers are.
const leaseRegion = alexa.EU

// office is a database that several processes sweep without a topic, each of
// them all buckets.
type office struct {
	*world.World
	customers map[string]world.Customer // by userId
}

// linkAll has customers enable the skill.
func (o *office) linkAll(t *testing.T, p *binary.Process, customers []world.Customer) {
	t.Helper()
	var all errgroup.Group
	all.SetLimit(8)
	for i := range customers {
		all.Go(func() error { return o.LinkIn(testkit.Context(t), p.URL()+"/AcceptGrant", &customers[i], leaseRegion) })
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	o.customers = make(map[string]world.Customer)
	for _, c := range customers {
		o.customers[c.UserID] = c
	}
}

func (o *office) record(t *testing.T, userID string) grant.Record {
	t.Helper()
	record, err := o.Store.Read(testkit.Context(t), o.customers[userID].Key())
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func (o *office) grant(t *testing.T, userID string) grant.Grant {
	t.Helper()
	g, ok := o.record(t, userID).Grants[o.customers[userID].GrantID]
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
			c := o.customers[userID]
			_, err := grant.Change(testkit.Context(t), o.Store, c.Key(), func(r *grant.Record) error {
				g := r.Grants[c.GrantID]
				g.RefreshDue = due
				if !g.RefusedAt.IsZero() { // an hour ago
					g.NextTry, g.RefusedAt = due, due.Add(-time.Hour)
				}
				r.Grants[c.GrantID], r.RefreshDue = g, due
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
	for userID := range o.customers {
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
	for _, r := range o.LWARequests() {
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
	for _, r := range o.LWARequests() {
		if r.Target == simulator.Refresh && r.RotatedAway && !r.Accepted {
			burnt = append(burnt, userIDOf(r))
		}
	}
	slices.Sort(burnt)
	return slices.Compact(burnt)
}

// userIDOf is the customer that a request is about: see [world.NewCustomer].
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

// sweep has processes sweep at once.
func sweep(t *testing.T, processes ...*binary.Process) (under []*flight) {
	t.Helper()
	for _, p := range processes {
		under = append(under, begin(t, sweepPatience, p.URL()+"/RefreshTokens", ""))
	}
	return under
}

// wantSwept waits for the end of sweeps.
func wantSwept(t *testing.T, all []*flight) {
	t.Helper()
	for _, under := range all {
		if <-under.done; under.err != nil || under.answer.Status != http.StatusOK {
			t.Fatalf("RefreshTokens answered %v (%v), want 200", under.answer, under.err)
		}
	}
}

// sweepUntilDone has processes sweep together, again and again, until nothing
// is due: a lease that was left behind takes its time to end.
func (o *office) sweepUntilDone(t *testing.T, processes []*binary.Process) {
	t.Helper()
	eventually(t, "nothing is due", func() bool {
		wantSwept(t, sweep(t, processes...))
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
