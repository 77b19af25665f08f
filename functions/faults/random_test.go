package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// outstanding is how many events are published and not acknowledged at most.
const outstanding = 600

// lanes is how many topics the customers are spread over: the emulator pushes
// only a few messages of a subscription at a time.
const lanes = 64

func lane(i int) string { return fmt.Sprint("device-events-", i) }

// refusingRegion is the region whose gateway refuses everybody for a while.
const refusingRegion = alexa.FE

// runTime bounds a random run.
const runTime = 4 * time.Minute

// TestRandom delivers many events by way of Pub/Sub, with faults on a fifth of
// all answers, while processes are killed. Afterwards every event is accounted
// for.
func TestRandom(t *testing.T) {
	t.Parallel()
	seed := seed(t)
	t.Logf("seed %d: repeat with FAULT_SEED=%d", seed, seed)
	many, customers, kills := 2000, 200, 20
	if testing.Short() {
		many, customers, kills = 300, 40, 4
	}
	// Of a lost answer to a refresh, or a killed process, remains the old
	// refresh token; without grace the customer would really be gone.
	w := newWorld(t, simulator.Options{OldRefreshTokenGrace: time.Hour})
	events := plan(rand.New(rand.NewPCG(seed, 1)), w.linkMany(t, "random", customers), many, kills)
	for i, region := range alexa.Regions() {
		spoil(w, rand.New(rand.NewPCG(seed, uint64(2+i))), simulator.Gateway(region), gatewayFaults)
	}
	spoil(w, rand.New(rand.NewPCG(seed, 9)), simulator.Refresh, refreshFaults)
	w.Always(simulator.Gateway(refusingRegion), simulator.Fault{Status: 403, Match: func(simulator.Request) bool { return w.refusing.Load() }})

	acked := make(chan struct{}, many)
	f := newFleet(t, w, 2, events, acked)
	door := httptest.NewServer(f)
	t.Cleanup(door.Close)
	for i := range lanes {
		w.createTopic(t, lane(i))
		w.subscribe(t, lane(i), &pubsubpb.Subscription{
			Name: lane(i), EnableMessageOrdering: true, PushConfig: &pubsubpb.PushConfig{PushEndpoint: door.URL},
			RetryPolicy: &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(time.Second), MaximumBackoff: durationpb.New(2 * time.Second)},
		})
	}
	started := time.Now()
	if err := w.publish(within(t, runTime), events, acked); err != nil {
		t.Errorf("after %v: %v", time.Since(started), err)
	}
	fates, killed := f.outcome()
	if killed < kills/2 {
		t.Errorf("%d processes were killed, want %d or a few less", killed, kills)
	}
	a := newAudit(t, w, fates, events)
	a.run()
	t.Logf("seed %d: %d events in %v, %d processes killed, %s", seed, many, time.Since(started).Round(time.Second), killed, a.summary())
}

func seed(t *testing.T) uint64 {
	t.Helper()
	text, ok := os.LookupEnv("FAULT_SEED")
	if !ok {
		return uint64(time.Now().UnixNano())
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("FAULT_SEED: %v", err)
	}
	return seed
}

// publish publishes the events in their order, not too many ahead of their
// acknowledgements, and returns when all are acknowledged.
func (w *world) publish(ctx context.Context, events []planned, acked <-chan struct{}) error {
	topics := make([]*pubsub.Publisher, lanes)
	for i := range topics {
		topics[i] = w.pubsub.Publisher(lane(i))
		defer topics[i].Stop()
		topics[i].EnableMessageOrdering = true
		topics[i].PublishSettings.DelayThreshold = time.Millisecond
	}
	for next, done := 0, 0; done < len(events); done++ {
		for ; next < len(events) && next-done < outstanding; next++ {
			if err := w.publishOne(ctx, topics[events[next].lane], events[next]); err != nil {
				return err
			}
		}
		select {
		case <-acked:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d events are acknowledged: %w", done, len(events), context.Cause(ctx))
		}
	}
	return nil
}

func (w *world) publishOne(ctx context.Context, topic *pubsub.Publisher, p planned) error {
	if p.disable {
		w.Disable(p.customer.region, p.customer.amazonUser)
	}
	if p.refuse || p.relent {
		w.refusing.Store(p.refuse)
	}
	if p.expire {
		w.ExpireAccessTokens(p.customer.region, p.customer.amazonUser)
	}
	_, err := topic.Publish(ctx, &pubsub.Message{Data: []byte(p.data()), Attributes: p.attributes, OrderingKey: p.key()}).Get(ctx)
	return err
}
