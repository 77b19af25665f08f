package faults_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// TestChattyCustomer has the gateway throttle one customer, who has a lot to
// say. Nobody else waits for that.
func TestChattyCustomer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{})
	p := w.start(t, "SendEvent")
	chatty, other := w.link(t, "chatty", alexa.EU), w.link(t, "quiet", alexa.EU)
	w.Always(simulator.Gateway(alexa.EU), simulator.Fault{User: chatty.amazonUser, Code: simulator.Throttling, RetryAfter: 10 * time.Second})
	const many = 30
	busy := make(chan string, many)
	ctx := testkit.Context(t)
	for i := range many {
		go func() {
			answer, err := deliver(ctx, p, chatty.message(report(chatty, fmt.Sprint("lamp-", i), 1), fmt.Sprint("chatty-", i), 1))
			if err != nil {
				answer = err.Error()
			}
			busy <- answer
		}()
	}
	recorded(t, 1, func() []simulator.Request { return w.eventsOf(chatty) })
	started := time.Now()
	for i := range 10 {
		answer, err := deliver(testkit.Context(t), p, other.message(report(other, "lamp-1", i), fmt.Sprint("quiet-", i), 1))
		if err != nil || answer != "200 accepted" {
			t.Errorf("the other customer's event was answered %q (%v)", answer, err)
		}
	}
	if took := time.Since(started); took > 9*time.Second || len(busy) == many {
		t.Errorf("the other customer's events took %v, and %d of %d of the chatty one's are done", took, len(busy), many)
	}
	for range many {
		if answer := <-busy; answer != "503 retry "+simulator.Throttling && answer != "503 retry HANDED_BACK" {
			t.Errorf("an event of the chatty customer was answered %q", answer)
		}
	}
}

// TestRegionThrottled has the gateway throttle many customers: the region is
// left alone for a while, and only that region.
func TestRegionThrottled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{})
	p := w.start(t, "SendEvent")
	customers := w.linkMany(t, "throttled", 33) // a third in each region
	w.Always(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.Throttling, RetryAfter: 40 * time.Second})
	for i, c := range customers {
		want := "200 accepted"
		if c.region == alexa.EU {
			want = "503 retry " + simulator.Throttling
		}
		last := i >= len(customers)-3
		if c.region == alexa.EU && last {
			want = "503 retry REGION_PAUSED" // the eleventh is not even tried
		}
		answer, err := deliver(testkit.Context(t), p, c.message(report(c, "lamp-1", 1), c.userID, 1))
		if err != nil || answer != want {
			t.Errorf("customer %d, in %s: answered %q (%v), want %q", i, c.region, answer, err, want)
		}
	}
	if n := len(w.Events(alexa.EU)); n != 10 {
		t.Errorf("%d requests in the region, want 10", n)
	}
}

// TestClocks has devices that do not know the time report changes. Each
// report is the newest, whatever its device says of it.
func TestClocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{})
	p := w.start(t, "SendEvent")
	right := time.Now
	late := func() time.Time { return time.Now().Add(-time.Minute) }
	in1970 := func() time.Time { return time.Unix(0, 0) }
	in2036 := func() time.Time { return time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC) }
	for _, test := range []struct {
		name   string
		clocks []func() time.Time // one for each report
	}{
		{"1970 once", []func() time.Time{right, in1970, right}},
		{"1970 always", []func() time.Time{in1970, in1970, in1970}},
		{"2036 once", []func() time.Time{right, in2036, right}},
		{"2036 first", []func() time.Time{in2036, right, right}},
		{"2036 always", []func() time.Time{in2036, in2036, in2036}},
		{"2036, then 1970", []func() time.Time{in2036, in1970, right}},
		// A clock that is late does not make a report old that was published later.
		{"late once", []func() time.Time{right, late, right}},
		{"late from now on", []func() time.Time{right, late, late}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := w.link(t, t.Name(), alexa.EU)
			want := []string{"200 accepted", "200 accepted", "200 accepted"}
			var got []string
			for i, clock := range test.clocks {
				m := c.message(reportAt(c, "lamp-1", i, clock(), "PHYSICAL_INTERACTION"), fmt.Sprint(c.userID, i), 1)
				answer, err := deliver(testkit.Context(t), p, m)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, answer)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the answers differ (-want +got):\n%s", diff)
			}
			if last, want := w.brightness(c, "lamp-1"), float64(len(test.clocks)-1); last != want {
				t.Errorf("Alexa believes report %v, want %v", last, want)
			}
		})
	}
}

// brightness is what Alexa believes of a customer's lamp: the number of the
// report, nil if there was none.
func (w *world) brightness(c customer, lamp string) any {
	for _, p := range w.State(c.region, c.amazonUser)[lamp] {
		if p.Name == "brightness" {
			return p.Value
		}
	}
	return nil
}
