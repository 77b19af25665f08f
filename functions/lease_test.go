package functions_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

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
// no grant is lost but the one whose new tokens were on their way to it.
func TestSweepersShareGrants(t *testing.T) {
	t.Parallel()
	o := office{world.InCloud(t, simulator.Options{}).For(alexa.EU)}
	processes := []*binary.Process{o.Launch(t, ""), o.Launch(t, ""), o.Launch(t, "")}
	customers := make([]world.Customer, 24)
	atOnce(t, len(customers), func(i int) error {
		customers[i] = world.NewCustomer(fmt.Sprint("lease-", i))
		return o.LinkIn(testkit.Context(t), processes[0].URL()+"/AcceptGrant", &customers[i], alexa.EU)
	})
	// An answer that takes a while finds others waiting for it.
	o.Always(simulator.Refresh, simulator.Fault{Delay: 50 * time.Millisecond})
	o.makeDue(t, customers, nil)
	o.sweep(t, processes)
	o.wantRefreshed(t, customers, 2)

	// One has new tokens when the process is killed, which it never gets.
	lost, victim := customers[0], processes[0]
	o.Script(simulator.Refresh, simulator.Fault{User: lost.AmazonUser, AnswerLost: true, Delay: testkit.Patience})
	o.makeDue(t, customers[:1], nil)
	under := begin(t, victim.URL()+"/RefreshTokens", "")
	for o.given(lost) < 2 { // recorded means carried out
		select {
		case <-time.After(5 * time.Millisecond):
		case <-under.done:
			t.Fatalf("the sweep was answered %v (%v) before it was killed", under.answer, under.err)
		}
	}
	victim.Kill()
	<-under.done

	leases := 0
	o.makeDue(t, customers, func(g *grant.Grant) {
		if left := time.Until(g.Lease.Until); left > 0 {
			leases++
			g.Lease.Until = time.Now().Add(-time.Second) // a while later
		}
	})
	if leases != 1 {
		t.Errorf("%d leases are left behind, want 1", leases)
	}
	o.sweep(t, processes[1:])
	o.wantRefreshed(t, customers[1:], 3)
	if g := o.grant(t, lost); g.State != grant.Suspect || g.Reason != grant.ReasonRefreshUnknown {
		t.Errorf("the grant whose answer was under way is %s %s, want %s %s", g.State, g.Reason, grant.Suspect, grant.ReasonRefreshUnknown)
	}
	if away := o.Counts().RotatedAway; away != 1 {
		t.Errorf("%d refreshes with a token that was rotated away, want 1", away)
	}
}

// office is a database that several processes sweep without a topic, each of
// them all buckets.
type office struct{ *world.World }

// atOnce does something several times, and several at a time.
func atOnce(t *testing.T, times int, do func(i int) error) {
	t.Helper()
	var all errgroup.Group
	all.SetLimit(8)
	for i := range times {
		all.Go(func() error { return do(i) })
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
}

// makeDue lets so much time pass for customers that they are due, and edits their
// grants.
func (o office) makeDue(t *testing.T, customers []world.Customer, edit func(*grant.Grant)) {
	t.Helper()
	due := time.Now().Add(-time.Minute)
	for _, c := range customers {
		_, err := grant.Change(testkit.Context(t), o.Store, c.Key(), func(r *grant.Record) error {
			g := r.Grants[c.GrantID]
			g.RefreshDue = due
			if edit != nil {
				edit(&g)
			}
			r.Grants[c.GrantID], r.RefreshDue = g, due
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// sweep has processes sweep at once.
func (o office) sweep(t *testing.T, processes []*binary.Process) {
	t.Helper()
	atOnce(t, len(processes), func(i int) error {
		answer, err := world.Post(testkit.Context(t), processes[i].URL()+"/RefreshTokens", nil, "")
		if err == nil && answer.Status != http.StatusOK {
			err = fmt.Errorf("RefreshTokens answered %v, want 200", answer)
		}
		return err
	})
}

func (o office) grant(t *testing.T, c world.Customer) grant.Grant {
	t.Helper()
	record, err := o.Store.Read(testkit.Context(t), c.Key())
	if err != nil {
		t.Fatal(err)
	}
	return record.Grants[c.GrantID]
}

// given counts a customer's refreshes that Login with Amazon carried out.
func (o office) given(c world.Customer) (n int64) {
	for _, r := range o.LWARequests() {
		if r.Target == simulator.Refresh && r.User == c.AmazonUser && r.Accepted {
			n++
		}
	}
	return n
}

// wantRefreshed checks that grants are active with tokens of a version, and that
// Login with Amazon gave no others.
func (o office) wantRefreshed(t *testing.T, customers []world.Customer, version int64) {
	t.Helper()
	for _, c := range customers {
		g := o.grant(t, c)
		if g.State != grant.Active || g.TokenVersion != version || g.Lease != (grant.Lease{}) || o.given(c) != version-1 {
			t.Errorf("%s is %s %s, version %d, lease %v, after %d refreshes; want active, version %d, no lease",
				c.UserID, g.State, g.Reason, g.TokenVersion, g.Lease, o.given(c), version)
		}
	}
}
