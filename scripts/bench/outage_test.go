package main

import (
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// TestOutageOfLoginWithAmazon: an outage of ten minutes leaves no customer without a token,
// whether Login with Amazon refuses or does not answer. In the second case the sweeps
// have a pause of two and a half minutes, in which an event refreshes its own token.
func TestOutageOfLoginWithAmazon(t *testing.T) {
	t.Parallel()
	for name, hangs := range map[string]bool{"refuses": false, "hangs": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &carrying{customers: 256_000, shards: 256, databaseWrites: databaseWrites, period: time.Minute, lwa: 200 * time.Millisecond,
				write: 15 * time.Millisecond, query: 50 * time.Millisecond, outage: 10 * time.Minute, watch: 10 * time.Minute, step: 5 * time.Minute,
				hangs: hangs}
			synctest.Test(t, func(t *testing.T) {
				found, err := c.simulate(io.Discard)
				if err != nil || found.ended != 0 || !hangs && found.endedLater != 0 || found.caughtUp == 0 || found.caughtUp > 3*time.Minute {
					t.Errorf("outage = %+v, %v, want no customer without a token, and all refreshed within three minutes", found, err)
				}
			})
		})
	}
}

// TestOutageOfTheGateway: while the gateway is down there are few calls of it, and when
// it is back what is still new enough is delivered within minutes.
func TestOutageOfTheGateway(t *testing.T) {
	t.Parallel()
	o := &outage{rate: 10, instances: 1, customers: 100, endpoints: 5, takes: 100 * time.Millisecond,
		down: 8 * time.Minute, watch: 3 * time.Minute, step: time.Minute}
	synctest.Test(t, func(t *testing.T) {
		found, err := o.simulate(io.Discard)
		if err != nil || found.lost != 0 || found.waiting > 2*o.rate || found.calls == 0 || found.calls > 150 {
			t.Errorf("outage = %+v, %v, want no lost report, few that wait, and 150 calls while it was down at most", found, err)
		}
	})
}

// TestStaleReports: within ten minutes of a gateway's recovery from a long outage, events
// are delivered as before it, though the maker repeats reports on request. It gets one
// request for each customer, and no endpoint stays out of date. A gateway that hangs also
// keeps the slots, so it is tested under the higher load.
func TestStaleReports(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]*outage{
		"hangs":   {rate: 50, takes: 150 * time.Millisecond, down: 10 * time.Minute, hangs: true}, // of 106 a second
		"refuses": {rate: 10, takes: 950 * time.Millisecond, down: time.Hour},                     // of 16
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { testStaleReports(t, o) })
		})
	}
}

func testStaleReports(t *testing.T, o *outage) {
	const withOne, withMany, many, slots = 60, 15, 30, 16 // customers with an endpoint and with many
	o.instances, o.customers = 1, withOne+withMany
	w, err := o.newInstance()
	if err != nil {
		t.Fatal(err)
	}
	w.free = slots
	for i, customer := range w.list {
		for n := range map[bool]int{true: 1, false: many}[i < withOne] {
			w.lanes = append(w.lanes, &lane{userID: customer.record.UserID, endpoint: fmt.Sprint("lamp-", n)})
		}
	}
	w.pass(time.Minute)
	if n := w.take(); n.waiting > slots || n.expired > 0 {
		t.Fatalf("before the outage %d messages wait and %d expired, want %d or fewer, and none", n.waiting, n.expired, slots)
	}
	w.gateway.setDown(true, o.hangs)
	w.pass(o.down)
	w.gateway.setDown(false, false)
	w.pass(10 * time.Minute)
	stale := w.take().stale
	w.pass(5 * time.Minute)
	n := w.take()
	if n.expired > 0 || n.oldest > time.Minute { // the requested reports may take that long
		t.Errorf("ten minutes after the recovery %d reports expired, and one was accepted at age %v", n.expired, n.oldest)
	}
	stale += n.stale
	o.rate = 0               // no changes
	w.pass(75 * time.Minute) // by when every missed report has been requested
	w.working.Wait()
	n = w.take()
	if stale += n.stale; n.waiting > 0 || stale != o.customers || w.fault != nil {
		t.Errorf("%d messages wait at the end, %d requests, fault %v; want 0, one for each of %d customers, and none",
			n.waiting, stale, w.fault, o.customers)
	}
	for _, l := range w.lanes {
		if l.asked != 1 || l.lost {
			t.Errorf("%s of %s was asked for %d times, lost %t; want once, and a later report", l.endpoint, l.userID, l.asked, l.lost)
		}
	}
	for _, customer := range w.list {
		for id, g := range customer.record.Grants {
			if !g.Behind.Empty() || g.State != grant.Active {
				t.Errorf("grant %s is %s and behind %+v, want active and not behind", id, g.State, g.Behind)
			}
		}
	}
}
