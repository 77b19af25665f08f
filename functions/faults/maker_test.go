package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// outstanding is the largest number of published events that are not acknowledged.
const outstanding = 600

// lanes is the number of topics over which the customers are spread: the emulator
// pushes only a few messages of a subscription at a time.
const lanes = 64

// maker is the maker's cloud: it publishes events, and reports again on request.
type maker struct {
	t      *testing.T
	w      *suite
	fleet  *fleet
	acked  chan struct{}
	topics []*pubsub.Publisher

	events   []planned           // those published, in order
	accounts map[string]customer // all linked so far, by grant id
	lanes    map[string]int      // by userId
	done     int                 // events acknowledged
	heard    int                 // grant events that were handled
}

func newMaker(t *testing.T, w *suite, customers []customer, events int) *maker {
	m := &maker{
		t: t, w: w, acked: make(chan struct{}, 10*events),
		accounts: make(map[string]customer), lanes: make(map[string]int),
	}
	for i, c := range customers {
		m.accounts[c.GrantID] = c
		m.lanes[c.UserID] = i % lanes
	}
	m.fleet = newFleet(t, w, 2, m.acked)
	door := httptest.NewServer(m.fleet)
	t.Cleanup(door.Close)
	for i := range lanes {
		id := fmt.Sprint("device-events-", i)
		w.CreateTopic(t, id)
		w.Subscribe(t, id, &pubsubpb.Subscription{
			Name: id, EnableMessageOrdering: true, PushConfig: &pubsubpb.PushConfig{PushEndpoint: door.URL},
			RetryPolicy: &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(time.Second), MaximumBackoff: durationpb.New(2 * time.Second)},
		})
		topic := w.PubSub.Publisher(id)
		topic.EnableMessageOrdering = true
		topic.PublishSettings.DelayThreshold = time.Millisecond
		t.Cleanup(topic.Stop)
		m.topics = append(m.topics, topic)
	}
	return m
}

// publish publishes the events in order, at most outstanding ahead of their
// acknowledgements, and the reports that grant events ask for. It returns when all
// are acknowledged and none is asked for.
func (m *maker) publish(ctx context.Context, events []planned) error {
	for next := 0; ; {
		for ; next < len(events) && len(m.events)-m.done < outstanding; next++ {
			if err := m.publishOne(ctx, events[next]); err != nil {
				return err
			}
		}
		asked, more := m.w.GrantEvents.Find(func(*pubsub.Message) bool { return true })
		for _, message := range asked[m.heard:] {
			if err := m.handleGrantEvent(ctx, message.Data); err != nil {
				return err
			}
		}
		m.heard = len(asked)
		if next == len(events) && m.done == len(m.events) {
			return nil
		}
		select {
		case <-m.acked:
			m.done++
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d events are acknowledged: %w", m.done, len(m.events), context.Cause(ctx))
		}
	}
}

func (m *maker) publishOne(ctx context.Context, p planned) error {
	c := p.customer
	if p.disable || p.relink {
		m.w.Disable(c.Region, c.AmazonUser)
	}
	if p.relink {
		if err := m.link(ctx, c); err != nil {
			return err
		}
	}
	if p.refuse || p.relent {
		m.w.refusing.Store(p.refuse)
	}
	if p.expire {
		m.w.ExpireAccessTokens(c.Region, c.AmazonUser)
	}
	if p.sweep {
		if err := m.sweep(ctx); err != nil {
			return err
		}
	}
	m.events = append(m.events, p)
	m.fleet.add(p)
	message := &pubsub.Message{Data: []byte(p.data()), Attributes: p.attributes, OrderingKey: p.key()}
	_, err := m.topics[m.lanes[c.UserID]].Publish(ctx, message).Get(ctx)
	return err
}

// link has a customer link an account, and retries until that succeeds.
func (m *maker) link(ctx context.Context, c customer) error {
	for {
		err := m.w.enable(ctx, &c, c.Region)
		m.accounts[c.GrantID] = c // a failed link may have been stored too
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
}

// handleGrantEvent publishes the reports that a grant event asks for. After a relink those are
// all, because Alexa queries every state then.
func (m *maker) handleGrantEvent(ctx context.Context, data []byte) error {
	var message struct {
		Type, UserID string
		EndpointIDs  []string
	}
	if err := json.Unmarshal(data, &message); err != nil {
		return err
	}
	if message.Type != "stale" && message.Type != "relinked" && message.Type != "linked" {
		return nil
	}
	endpoints := make(map[string]customer)
	for _, p := range m.events {
		if p.customer.UserID == message.UserID && p.isReport() &&
			(len(message.EndpointIDs) == 0 || slices.Contains(message.EndpointIDs, p.endpointID)) {
			endpoints[p.endpointID] = p.customer
		}
	}
	for _, endpoint := range slices.Sorted(maps.Keys(endpoints)) {
		p := newReport(len(m.events)+asksFrom, endpoints[endpoint], endpoint)
		if err := m.publishOne(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// asksFrom is the number of the first event outside the plan.
const asksFrom = 100_000

// sweep makes everything that waits due now, and sweeps.
func (m *maker) sweep(ctx context.Context) error {
	var all errgroup.Group
	all.SetLimit(8)
	for _, c := range m.customers() {
		all.Go(func() error {
			_, err := grant.Change(ctx, m.w.Store, c.Key(), func(r *grant.Record) error {
				now := time.Now()
				r.ProbeNow(now)
				for id, g := range r.Grants {
					if !g.Behind.Empty() {
						g.Behind.Due = now
						r.Grants[id] = g
					}
				}
				r.Used(now) // computes when the record is due
				r.RefreshDue = now
				return nil
			})
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	_, err := world.Post(ctx, m.w.office.URL()+"/RefreshTokens", nil, "") // may fail
	return err
}

// customers returns one account of each customer.
func (m *maker) customers() map[string]customer {
	customers := make(map[string]customer)
	for _, c := range m.accounts {
		customers[c.UserID] = c
	}
	return customers
}

// settle lets time pass after the faults, until no grant waits for anything. A
// suspect grant recovers with an event. A grant that Login with Amazon refuses is
// its customer's former one, and is revoked an hour later.
func (m *maker) settle(ctx context.Context) error {
	for {
		var events []planned
		waiting := 0
		for userID, c := range m.customers() {
			record, err := m.w.Store.Read(ctx, c.Key())
			if err != nil {
				return fmt.Errorf("reading %s: %w", userID, err)
			}
			for _, g := range record.Grants {
				switch {
				case g.State == grant.Suspect && g.RefusedAt.IsZero():
					events = append(events, newReport(len(m.events)+asksFrom+len(events), c, "lamp-0"))
				case g.State == grant.Active && !g.Behind.Empty():
					waiting++
				}
			}
		}
		if waiting+len(events) == 0 {
			return nil
		}
		if err := m.calm(ctx); err != nil {
			return err
		}
		if err := m.sweep(ctx); err != nil {
			return err
		}
		textsOf(m.t, m.w.GrantEvents, 0, func(*pubsub.Message) string { return "" }) // all its grant events have arrived
		if err := m.publish(ctx, events); err != nil {
			return err
		}
	}
}

// calm removes the outage marks of the regions.
func (m *maker) calm(ctx context.Context) error {
	for _, region := range alexa.Regions() {
		err := grant.ChangeControl(ctx, m.w.Store, grant.RegionName(string(region)), func(map[string]any) (map[string]any, error) {
			return grant.RegionMark{}.Document(), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
