package functions_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
)

// TestSweepersShareGrants has three processes sweep the same customers at
// once, while Login with Amazon ends every refresh token as soon as it gives
// another. Then one of them is killed halfway, and the others finish its work:
// no grant is lost but those whose new tokens were on their way to it.
func TestSweepersShareGrants(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	processes := []*binary.Process{launch(t, o.env), launch(t, o.env), launch(t, o.env)}
	o.linkAll(t, processes[0], append(crowd(36), neighbours(4)...))
	everyone := slices.Sorted(maps.Keys(o.grants))

	// An answer that takes a while finds others waiting for it.
	o.amazon.Always(simulator.Refresh, simulator.Fault{Delay: 50 * time.Millisecond})
	o.makeDue(t, everyone)
	sweepTogether(t, processes)
	o.wantRefreshed(t, everyone, 2)
	if away := o.amazon.Counts().RotatedAway; away != 0 {
		t.Fatalf("%d refreshes with a token that was rotated away, want none", away)
	}

	o.makeDue(t, everyone)
	o.killMidSweep(t, processes[0], neighbours(4))
	// One survivor begins at once, the others a moment later: they do not look
	// at the leases that are left behind at the same times.
	early := sweep(t, processes[1])
	survivors := append(processes[1:], launch(t, o.env))
	o.sweepUntilDone(t, survivors[1:])
	wantSwept(t, early)
	o.sweepUntilDone(t, survivors)

	lost := o.unsaved(t)
	if !slices.Contains(lost, neighbours(1)[0].userID) || len(lost) > 4 {
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
func (o *office) killMidSweep(t *testing.T, victim *binary.Process, customers []customer) {
	t.Helper()
	const untilKilled = time.Minute
	arrived := make(chan struct{}, len(customers))
	for i, c := range customers {
		o.amazon.Script(simulator.Refresh, simulator.Fault{
			User: c.amazonUser, AnswerLost: i == 0, Delay: untilKilled,
			Match: func(simulator.Request) bool { arrived <- struct{}{}; return true },
		})
	}
	under := sweep(t, victim)
	for range customers {
		select {
		case <-arrived:
		case <-under.done:
			t.Fatalf("the sweep was answered %v (%v) before it was killed", under.answer, under.err)
		}
	}
	// Recorded means carried out.
	eventually(t, "Login with Amazon gives new tokens", func() bool { return o.given()[customers[0].userID] == 2 })
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
			t.Errorf("%s is %s %s, version %d, lease %v; want active, version %d, no lease", userID, g.State, g.Reason, g.TokenVersion, g.Lease, version)
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
func crowd(n int) []customer {
	list := make([]customer, n)
	for i := range list {
		list[i] = newCustomer(fmt.Sprint("lease-", i))
	}
	return list
}

// neighbours makes customers of one bucket, who are swept at the same time
// however the buckets are dealt out.
func neighbours(n int) []customer {
	var list []customer
	for i := 0; len(list) < n; i++ {
		c := newCustomer(fmt.Sprint("lease-neighbour-", i))
		if key := (grant.Key{Skill: "default", UserID: c.userID}); key.Bucket() == grant.Buckets/2 {
			list = append(list, c)
		}
	}
	return list
}

// leaseRegion is where all these customers are.
const leaseRegion = alexa.EU
