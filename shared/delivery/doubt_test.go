package delivery_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// TestDoubtDoesNotSilence: Login with Amazon refuses to refresh, and the access
// token is good. Events go out as if nothing had happened, without a read, and
// the maker hears nothing until the token has ended.
func TestDoubtDoesNotSilence(t *testing.T) {
	t.Parallel()
	r := newRemembering(t)
	topic := announced(r.World, r.deliverer)
	id := r.Link(t, "u-1", alexa.EU, "amzn-1")
	r.Sim.Always(simulator.Refresh, simulator.Fault{Code: simulator.LWAInvalidGrant})
	if _, err := r.Process("sweep").Refresh(t.Context(), r.Read(t, "u-1"), id); err == nil {
		t.Fatal("no error")
	}
	reads := 0
	for range 5 {
		got, n := r.deliver(t, r.next())
		if reads += n; got[id] != delivery.Accepted {
			t.Errorf("%v", got)
		}
	}
	if g := r.Read(t, "u-1").Grants[id]; g.State != grant.Suspect || g.Reason != grant.ReasonRefreshRefused || reads > 1 {
		t.Errorf("%s %s after %d reads", g.State, g.Reason, reads)
	}
	if got := told(t, topic); len(got) != 0 {
		t.Errorf("told: %v", got)
	}
	r.Forward(59*time.Minute + 30*time.Second) // the token has ended
	r.Change(t, "u-1", func(record *grant.Record) {
		record.RefreshRefused(id, grant.ReasonRefreshRefused, r.Now().Add(-2*time.Minute))
	})
	for range 3 {
		if got, _ := r.deliver(t, r.next()); got[id] != delivery.Suspended {
			t.Errorf("%v", got)
		}
	}
	if got := told(t, topic); slices.Index(got, "suspect refresh_refused  1") < 0 || len(slices.DeleteFunc(got, func(s string) bool { return s != "suspect refresh_refused  1" })) != 1 {
		t.Errorf("told: %v, want suspect once", told(t, topic))
	}
}

// TestGatewaysRefusalEndsTheDoubt: the gateway refuses the token of a grant that
// Login with Amazon refuses to refresh. These are two witnesses.
func TestGatewaysRefusalEndsTheDoubt(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	id := w.Link(t, "u-1", alexa.EU, "amzn-1")
	w.Sim.Disable(alexa.EU, "amzn-1")
	_, _ = w.Process("sweep").Refresh(t.Context(), w.Read(t, "u-1"), id)
	if got := names(deliverer(t, w).Deliver(t.Context(), message(w, report))); got[id] != delivery.Revoked {
		t.Errorf("%v", got)
	}
	if g := w.Read(t, "u-1").Grants[id]; g.State != grant.Revoked {
		t.Errorf("%+v", g)
	}
}

// TestRelinkRingsOnce: the customer linked again, and Gatepost does not know
// whether it is the same Amazon account. One press is one announcement, as soon
// as Login with Amazon refuses the old token; while it cannot be asked, the
// newest link rings alone. Another account, a spouse's, hears everything.
func TestRelinkRingsOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spouse, ill bool
		want        map[string]delivery.OutcomeName // of the older grant and of the newer
		reports     map[string]delivery.OutcomeName
	}{
		"the same account": {
			false, false, map[string]delivery.OutcomeName{"older": delivery.Revoked, "newer": delivery.Accepted},
			map[string]delivery.OutcomeName{"older": delivery.Revoked, "newer": delivery.Accepted},
		},
		"a spouse": {
			true, false, map[string]delivery.OutcomeName{"older": delivery.Accepted, "newer": delivery.Accepted},
			map[string]delivery.OutcomeName{"older": delivery.Accepted, "newer": delivery.Accepted},
		},
		"nobody knows": {
			true, true, map[string]delivery.OutcomeName{"older": delivery.Superseded, "newer": delivery.Accepted},
			map[string]delivery.OutcomeName{"older": delivery.Accepted, "newer": delivery.Accepted},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := accesstest.New(t, simulator.Options{})
			ids := map[string]string{w.Link(t, "u-1", alexa.EU, "amzn-1"): "older"}
			if test.spouse {
				ids[w.Link(t, "u-1", alexa.EU, "amzn-2")] = "newer"
			} else {
				w.Sim.Disable(alexa.EU, "amzn-1") // which ends its tokens
				ids[w.Link(t, "u-1", alexa.EU, "amzn-1")] = "newer"
			}
			if test.ill {
				w.Sim.Always(simulator.Refresh, simulator.Fault{Status: 503})
			}
			d := deliverer(t, w)
			outcomes := func(data string, n int) map[string]delivery.OutcomeName {
				got := make(map[string]delivery.OutcomeName)
				for id, outcome := range names(d.Deliver(t.Context(), numbered(w, data, n))) {
					got[ids[id]] = outcome
				}
				return got
			}
			if diff := cmp.Diff(test.want, outcomes(doorbell, 1)); diff != "" {
				t.Errorf("a press of the bell (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.reports, outcomes(report, 2)); diff != "" {
				t.Errorf("a report (-want +got):\n%s", diff)
			}
		})
	}
}
