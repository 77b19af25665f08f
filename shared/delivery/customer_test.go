package delivery_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantcache"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// readings is a store whose reads are counted, and may fail.
type readings struct {
	grant.Store
	reads int
	fail  error
}

func (s *readings) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	s.reads++
	if s.fail != nil {
		return grant.Record{}, s.fail
	}
	return s.Store.Read(ctx, key)
}

// remembering is a process that remembers its customers, beside others that
// change what is stored.
type remembering struct {
	*accesstest.World // as the others see it
	deliverer         *delivery.Deliverer
	store             *readings
	n                 int
}

func newRemembering(t *testing.T) *remembering {
	t.Helper()
	w := accesstest.New(t, simulator.Options{})
	p := *w // as this process sees it
	store := &readings{Store: w.Store}
	cache := grantcache.New(store, 10, w.Now)
	p.Store = cache
	d := deliverer(t, &p)
	d.Customers = cache
	return &remembering{World: w, deliverer: d, store: store}
}

// next is a report that nobody has seen.
func (r *remembering) next() push.Message {
	r.n++
	return numbered(r.World, report, r.n)
}

// deliver delivers a message, and returns the outcomes and how often a record
// was read for it.
func (r *remembering) deliver(t *testing.T, m push.Message) (map[string]delivery.OutcomeName, int) {
	t.Helper()
	was := r.store.reads
	got := names(r.deliverer.Deliver(t.Context(), m))
	return got, r.store.reads - was
}

// TestCustomerIsRemembered: an event for a customer who was seen within the
// last minute reads nothing, unless there is more to it than sending.
func TestCustomerIsRemembered(t *testing.T) {
	t.Parallel()
	const accepted, revoked = delivery.Accepted, delivery.Revoked
	tests := []struct {
		name string
		// meanwhile is what happens after the customer was remembered. It may
		// change the message that comes then.
		meanwhile func(t *testing.T, r *remembering, old string, m *push.Message) (other string)
		want      [2]delivery.OutcomeName // of the old grant and of the other; empty for none
		reads     int
	}{
		{"nothing", func(*testing.T, *remembering, string, *push.Message) string { return "" }, [2]delivery.OutcomeName{accepted}, 0},
		{"a minute", func(_ *testing.T, r *remembering, _ string, m *push.Message) string {
			r.Forward(time.Minute)
			m.PublishTime = r.Now()
			return ""
		}, [2]delivery.OutcomeName{accepted}, 1},
		{"linked again elsewhere", func(t *testing.T, r *remembering, _ string, _ *push.Message) string {
			return r.Link(t, "u-1", alexa.EU, "amzn-2")
		}, [2]delivery.OutcomeName{accepted}, 0},
		{"linked again elsewhere, and an endpoint goes", func(t *testing.T, r *remembering, _ string, m *push.Message) string {
			m.Data = []byte(`{"userId":"u-1","event":{"header":{"namespace":"Alexa.Discovery","name":"DeleteReport"},"payload":{"endpoints":[{"endpointId":"d"}]}}}`)
			return r.Link(t, "u-1", alexa.EU, "amzn-2")
		}, [2]delivery.OutcomeName{accepted, accepted}, 1},
		{"erased elsewhere, and the doorbell rings", func(t *testing.T, r *remembering, _ string, m *push.Message) string {
			if err := r.Store.Delete(t.Context(), r.Read(t, "u-1")); err != nil {
				t.Error(err)
			}
			m.Data = []byte(`{"userId":"u-1","event":{"header":{"namespace":"Alexa.DoorbellEventSource","name":"DoorbellPress"},"endpoint":{"endpointId":"d"},"payload":{"cause":{"type":"PHYSICAL_INTERACTION"},"timestamp":"2026-01-02T03:04:05Z"}}}`)
			return ""
		}, [2]delivery.OutcomeName{}, 1},
		{"replaced elsewhere, and the gateway knows the old account no more", func(t *testing.T, r *remembering, old string, _ *push.Message) string {
			id := r.Link(t, "u-1", alexa.EU, "amzn-2")
			r.Change(t, "u-1", func(r *grant.Record) { delete(r.Grants, old) })
			r.Sim.Script(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.AccountNotFound})
			return id
		}, [2]delivery.OutcomeName{"", accepted}, 1},
		{"linked again elsewhere, and the event comes back", func(t *testing.T, r *remembering, _ string, m *push.Message) string {
			m.Attempt = 2
			return r.Link(t, "u-1", alexa.EU, "amzn-2")
		}, [2]delivery.OutcomeName{accepted, accepted}, 1},
		{"replaced elsewhere", func(t *testing.T, r *remembering, old string, _ *push.Message) string {
			id := r.Link(t, "u-1", alexa.EU, "amzn-2")
			r.Change(t, "u-1", func(r *grant.Record) { delete(r.Grants, old) })
			r.Sim.Disable(alexa.EU, "amzn-1")
			return id
		}, [2]delivery.OutcomeName{"", accepted}, 2},
		{"revoked elsewhere", func(t *testing.T, r *remembering, old string, _ *push.Message) string {
			r.Change(t, "u-1", func(record *grant.Record) { record.Revoke(old, grant.ReasonInvalidGrant, r.Now()) })
			r.Sim.Disable(alexa.EU, "amzn-1")
			return ""
		}, [2]delivery.OutcomeName{revoked}, 2},
		{"refreshed elsewhere, and the old token refused", func(t *testing.T, r *remembering, old string, _ *push.Message) string {
			r.Sim.ExpireAccessTokens(alexa.EU, "amzn-1")
			if _, err := r.Process("other").Refresh(t.Context(), r.Read(t, "u-1"), old); err != nil {
				t.Error(err)
			}
			return ""
		}, [2]delivery.OutcomeName{accepted}, 1},
		{"refreshed elsewhere, and then disabled", func(t *testing.T, r *remembering, old string, _ *push.Message) string {
			if _, err := r.Process("other").Refresh(t.Context(), r.Read(t, "u-1"), old); err != nil {
				t.Error(err)
			}
			r.Sim.Disable(alexa.EU, "amzn-1")
			return ""
		}, [2]delivery.OutcomeName{revoked}, 3},
		{"revoked by this event", func(_ *testing.T, r *remembering, _ string, _ *push.Message) string {
			r.Sim.Disable(alexa.EU, "amzn-1")
			return ""
		}, [2]delivery.OutcomeName{revoked}, 2},
		{"too old", func(_ *testing.T, r *remembering, _ string, m *push.Message) string {
			m.PublishTime = r.Now().Add(-6 * time.Minute)
			return ""
		}, [2]delivery.OutcomeName{delivery.Expired}, 1},
		{"linked in another region, which the event is for", func(t *testing.T, r *remembering, _ string, m *push.Message) string {
			m.Attributes = map[string]string{"region": "NA"}
			return r.Link(t, "u-1", alexa.NA, "amzn-2")
		}, [2]delivery.OutcomeName{"", accepted}, 1},
		{"a replay", func(_ *testing.T, _ *remembering, old string, m *push.Message) string {
			m.Attributes = map[string]string{"gatepost-grant": old}
			return ""
		}, [2]delivery.OutcomeName{accepted}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRemembering(t)
			old := r.Link(t, "u-1", alexa.EU, "amzn-1")
			if got, reads := r.deliver(t, r.next()); got[old] != accepted || reads != 1 {
				t.Fatalf("the first event is %v after %d reads", got, reads)
			}
			m := r.next()
			other := test.meanwhile(t, r, old, &m)
			got, reads := r.deliver(t, m)
			want := make(map[string]delivery.OutcomeName)
			for i, id := range []string{old, other} {
				if test.want[i] != "" {
					want[id] = test.want[i]
				}
			}
			if len(want) == 0 {
				want[""] = delivery.NoGrant
			}
			if diff := cmp.Diff(want, got); diff != "" || reads != test.reads {
				t.Errorf("%d reads, want %d; outcomes (-want +got):\n%s", reads, test.reads, diff)
			}
		})
	}
}

// TestJustLinked: an event that was published after a customer was read, and
// found to have nobody to send to, finds whoever has linked since; one that was
// published before need not.
func TestJustLinked(t *testing.T) {
	t.Parallel()
	for name, revoked := range map[string]bool{"unknown before": false, "revoked before": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRemembering(t)
			if revoked {
				id := r.Link(t, "u-1", alexa.EU, "amzn-1")
				r.Change(t, "u-1", func(record *grant.Record) { record.Revoke(id, grant.ReasonInvalidGrant, r.Now()) })
			}
			r.Forward(2 * time.Second)
			before := r.next()
			before.PublishTime = r.Now().Add(-2 * time.Second)
			for _, reads := range []int{1, 0} {
				if _, got := r.deliver(t, before); got != reads {
					t.Errorf("%d reads, want %d", got, reads)
				}
			}
			id := r.Link(t, "u-1", alexa.EU, "amzn-2")
			if got, _ := r.deliver(t, r.next()); got[id] != delivery.Accepted {
				t.Errorf("after the link: %v", got)
			}
		})
	}
}

// TestSuspectIsNotRemembered: the time of the probe, and the recovery, are seen
// at once.
func TestSuspectIsNotRemembered(t *testing.T) {
	t.Parallel()
	r := newRemembering(t)
	id := r.Link(t, "u-1", alexa.EU, "amzn-1")
	r.Sim.Script(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.InsufficientPermission, Times: 2})
	for n, want := range []delivery.OutcomeName{delivery.Redeliver, delivery.Redeliver, delivery.Suspended} {
		r.Forward(5 * time.Second)
		if got, _ := r.deliver(t, r.next()); got[id] != want {
			t.Errorf("event %d: %v, want %s", n, got, want)
		}
	}
	r.Change(t, "u-1", func(record *grant.Record) { record.Recover(id, r.Now(), r.Now()) })
	if got, reads := r.deliver(t, r.next()); got[id] != delivery.Accepted || reads != 1 {
		t.Errorf("after the recovery: %v, %d reads", got, reads)
	}
}

// TestGoneAndNotReadAgain: whether another grant took the place of the one that
// is gone must be known before the event is acknowledged.
func TestGoneAndNotReadAgain(t *testing.T) {
	t.Parallel()
	r := newRemembering(t)
	gone, stays := r.Link(t, "u-1", alexa.EU, "amzn-1"), r.Link(t, "u-1", alexa.NA, "amzn-2")
	if _, reads := r.deliver(t, r.next()); reads != 1 {
		t.Fatalf("%d reads", reads)
	}
	r.Sim.Disable(alexa.EU, "amzn-1")
	m := r.next()
	// The forced refresh reads once; what comes after it does not.
	r.deliverer.Store = &readings{Store: r.store, fail: errors.New("out of order")}
	want := map[string]delivery.OutcomeName{gone: delivery.Redeliver, stays: delivery.Accepted}
	got, _ := r.deliver(t, m)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.deliverer.Store = r.store
	m.Attempt = 2
	want = map[string]delivery.OutcomeName{gone: delivery.Revoked, stays: delivery.Duplicate}
	got, _ = r.deliver(t, m)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("redelivered (-want +got):\n%s", diff)
	}
}
