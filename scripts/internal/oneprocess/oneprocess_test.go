package oneprocess

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func options() Options {
	return Options{Project: "p", Amazon: simulator.New(simulator.Options{}), MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond}
}

// start starts a Gatepost, which is stopped after the test.
func start(t *testing.T, o Options) *Gatepost {
	t.Helper()
	g, err := Start(testkit.Context(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Stop() })
	return g
}

// TestOwnPubSub: an emulator that this process's environment names is not used.
func TestOwnPubSub(t *testing.T) {
	t.Setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1") // where nothing listens
	t.Setenv("FUNCTION_TARGET", "SendEvent")
	ctx := testkit.Context(t)
	g := start(t, options())
	if err := g.Link(ctx, alexa.NA, "amzn-1", "u-1"); err != nil {
		t.Error(err)
	}
	m, err := g.GrantEvents.Wait(ctx, func(push.Message) bool { return true })
	if err != nil || m.Attributes["type"] != "linked" {
		t.Errorf("the grant event is %v, %v", m, err)
	}
}

// TestDeadLettersStay: a dead letter that was seen can still be replayed.
func TestDeadLettersStay(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	g := start(t, options())
	if _, err := g.Publish(ctx, []byte("{}"), nil, ""); err != nil {
		t.Fatal(err)
	}
	seen, err := g.DeadLetters.Wait(ctx, func(push.Message) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	pull := &pubsubpb.PullRequest{Subscription: g.Broker.subscription(DeadLetters), MaxMessages: 10}
	letters, err := g.Broker.client.SubscriptionAdminClient.Pull(ctx, pull)
	if err != nil || len(letters.GetReceivedMessages()) != 1 || letters.GetReceivedMessages()[0].GetMessage().GetMessageId() != seen.ID {
		t.Errorf("the subscription for replays has %v, %v, want %s", letters, err, seen.ID)
	}
}

// TestBackoff: only the line of an event that Pub/Sub pushed has a back-off.
func TestBackoff(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	g := start(t, options())
	id, err := g.Publish(ctx, []byte("{}"), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	byHand, err := push.Encode(push.Message{ID: "by-hand", Data: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Post(ctx, "SendEvent", nil, byHand); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]time.Duration{id: time.Millisecond, "by-hand": 0} {
		l, err := g.Lines.Wait(ctx, func(l Line) bool { return l.Pushed != nil && l.Pushed.ID == id })
		if err != nil || l.Backoff != want {
			t.Errorf("the back-off of %s is %v, %v, want %v", id, l.Backoff, err, want)
		}
	}
}

// TestRuns runs two Gateposts with one server: both get an event, and leave nothing but
// what can be replayed.
func TestRuns(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	server := pstest.NewServer()
	defer server.Close()
	var runs []*Gatepost
	for _, run := range []string{"a", "b"} {
		o := options()
		o.PubSubServer, o.Run = server.Addr, run
		g, err := Start(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, g)
	}
	id, err := runs[0].Publish(ctx, []byte("{}"), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range runs {
		if l, err := g.Delivered(ctx, id); err != nil || l.Backoff == 0 {
			t.Errorf("the event is %v, %v", l, err)
		}
		g.Stop()
	}
	client, err := pubsub.NewClient(ctx, "p", Emulator(server.Addr)...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	request := &pubsubpb.ListSubscriptionsRequest{Project: "projects/p"}
	var names []string
	for subscription, err := range client.SubscriptionAdminClient.ListSubscriptions(ctx, request).All() {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, subscription.GetName())
	}
	if diff := cmp.Diff([]string{"projects/p/subscriptions/dead-letters"}, names); diff != "" {
		t.Errorf("the subscriptions that stay differ (-want +got):\n%s", diff)
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, change := range map[string]func(*Options){
		"SKILL":                  func(o *Options) { o.Env = map[string]string{"SKILL": "!"} },
		"address already in use": func(o *Options) { o.FunctionsAt = taken.Addr().String() },
		"starting Pub/Sub":       func(o *Options) { o.PubSubAt = taken.Addr().String() },
		"start simulator":        func(o *Options) { o.SimulatorAt.EU = taken.Addr().String() },
	} {
		o := options()
		change(&o)
		if _, err := Start(testkit.Context(t), o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Start() = %v, want an error with %s", err, name)
		}
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
		defer cancel()
		began := time.Now()
		var calls []time.Duration
		schedule(ctx, 5*time.Minute, func(context.Context) { calls = append(calls, time.Since(began)) })
		if diff := cmp.Diff([]time.Duration{5 * time.Minute, 10 * time.Minute}, calls); diff != "" {
			t.Errorf("calls differ (-want +got):\n%s", diff)
		}
	})
}

// TestSweepEvery has the scheduler start a sweep.
func TestSweepEvery(t *testing.T) {
	t.Parallel()
	o := options()
	o.SweepEvery = time.Millisecond
	g := start(t, o)
	if _, err := g.Lines.Wait(testkit.Context(t), func(l Line) bool { return l.Message == "RefreshShard" }); err != nil {
		t.Error(err)
	}
}

func TestFeed(t *testing.T) {
	t.Parallel()
	observed := 0
	f := newFeed(func(int) { observed++ })
	for i := range 3*kept + 1 {
		f.add(i)
	}
	all, _ := f.Find(func(int) bool { return true })
	if observed != 3*kept+1 || len(all) < kept || len(all) > 2*kept || all[len(all)-1] != 3*kept {
		t.Errorf("%d were observed; %d are kept, the last is %d", observed, len(all), all[len(all)-1])
	}
	go f.add(-1)
	if first, err := f.Wait(testkit.Context(t), func(n int) bool { return n < 0 }); err != nil || first != -1 {
		t.Errorf("Wait() = %d, %v", first, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.WaitFor(ended, 2, func(n int) bool { return n < 0 }); err == nil || !strings.Contains(err.Error(), "1 of 2: ") {
		t.Errorf("WaitFor() = %v", err)
	}
}

// TestObserver: each record is given on with the message that its request delivered.
func TestObserver(t *testing.T) {
	t.Parallel()
	var lines []Line
	var logged strings.Builder
	log := slog.New(observer{Handler: logging.New(&logged).Handler(), add: func(l Line) { lines = append(lines, l) }}).With("a", "1")
	message, err := push.Encode(push.Message{ID: "m1", Data: []byte("d"), Attempt: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{string(message), "no message", strings.Repeat("x", maxBody+1)} {
		handle := notePushed(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if got, err := io.ReadAll(r.Body); string(got) != body || err != nil {
				t.Errorf("the function got %d bytes of %d, %v", len(got), len(body), err)
			}
			log.WarnContext(r.Context(), "SendEvent", "status", 200, "outcome", "accepted")
		}))
		handle.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)))
	}
	var got []string
	for _, l := range lines {
		id := ""
		if l.Pushed != nil {
			id = fmt.Sprint(l.Pushed.ID, l.Pushed.Attempt)
		}
		got = append(got, fmt.Sprintf("%v %s %s %s %s %d %t", l.Level, l.Message, l.Text("a"), l.Text("outcome"), id, l.Int("status"), l.Final()))
	}
	want := []string{"WARN SendEvent 1 accepted m12 200 true", "WARN SendEvent 1 accepted  200 false", "WARN SendEvent 1 accepted  200 false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
	if got := strings.Count(logged.String(), `"a":"1","status":200`); got != 3 {
		t.Errorf("%d lines were logged: %s", got, &logged)
	}
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fields []any
		want   []Delivery
	}{
		"accepted": {[]any{"outcome", "accepted", "grant_id", "g", "region", "EU"}, []Delivery{{"g", "EU", "accepted", "", ""}}},
		"no grant": {[]any{"outcome", "no_grant", "reason", "why"}, []Delivery{{"", "", "no_grant", "", "why"}}},
		"several": {[]any{"outcome", "retry", "deliveries", []map[string]any{
			{"outcome": "accepted", "region": "NA"}, {"outcome": "retry", "alexa_code": "C", "error": "why"},
		}}, []Delivery{{"", "NA", "accepted", "", ""}, {"", "", "retry", "C", "why"}}},
		"no outcome": {[]any{"error", "no message"}, nil},
	} {
		var got Line
		slog.New(observer{Handler: slog.DiscardHandler, add: func(l Line) { got = l }}).Info("SendEvent", test.fields...)
		if diff := cmp.Diff(test.want, got.Deliveries()); diff != "" {
			t.Errorf("%s: deliveries differ (-want +got):\n%s", name, diff)
		}
	}
}
