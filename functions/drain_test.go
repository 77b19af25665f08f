package functions_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
)

// drainTime is how long the program may take to end after SIGTERM. Cloud Run
// kills it after ten seconds.
const drainTime = 9 * time.Second

// TestTerminate sends SIGTERM while an event is at the gateway. What is in
// flight is finished if the gateway answers, and handed back to Pub/Sub if it
// does not; nothing new is begun.
func TestTerminate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		delay  time.Duration // of the gateway's answer
		status int
		most   time.Duration // for the answer, after SIGTERM
	}{
		{"gateway answers", 2 * time.Second, http.StatusOK, 7 * time.Second},
		{"gateway hangs", time.Minute, http.StatusServiceUnavailable, 8 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			amazon := newAmazon(t, simulator.Options{})
			p := launch(t, amazon.env(alexa.EU))
			c := newCustomer(test.name)
			amazon.link(t, p.URL()+"/AcceptGrant", c, alexa.EU)
			arrived := amazon.hold(alexa.EU, test.delay)
			inFlight := sendInBackground(t, p.URL()+"/SendEvent", pushed(t, c.report("lamp-1"), nil))
			select {
			case <-arrived:
			case <-inFlight.done:
				t.Fatalf("the event was answered %v (%v) before it was at the gateway", inFlight.answer, inFlight.err)
			}
			if err := p.Terminate(); err != nil {
				t.Fatal(err)
			}
			terminated, untilKilled := time.Now(), testkit.Within(t, drainTime)
			wantNoMore(t, p, inFlight)
			<-inFlight.done
			if took := time.Since(terminated); inFlight.err != nil || inFlight.answer.Status != test.status || took > test.most {
				t.Errorf("the event in flight was answered %v (%v) after %v, want %d within %v", inFlight.answer, inFlight.err, took, test.status, test.most)
			}
			status, err := p.Wait(untilKilled)
			if err != nil || status != 0 {
				t.Errorf("the program ended with status %d (%v), want 0", status, err)
			}
		})
	}
}

// flight is a request under way. The answer is there when done is closed.
type flight struct {
	done   chan struct{}
	answer answer
	err    error
}

func sendInBackground(t *testing.T, url, body string) *flight {
	return sendWithin(t, testkit.Patience, url, body)
}

func sendWithin(t *testing.T, most time.Duration, url, body string) *flight {
	f, ctx := &flight{done: make(chan struct{})}, testkit.Within(t, most)
	go func() {
		defer close(f.done)
		f.answer, f.err = send(ctx, http.MethodPost, url, nil, body)
	}()
	return f
}

func (f *flight) landed() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// hold makes a region's gateway take its time for every event. The channel
// that it returns is closed when the first one arrives.
func (a amazon) hold(region alexa.Region, delay time.Duration) <-chan struct{} {
	arrived := make(chan struct{})
	var once sync.Once
	a.Always(simulator.Gateway(region), simulator.Fault{Delay: delay, Match: func(simulator.Request) bool {
		once.Do(func() { close(arrived) })
		return true
	}})
	return arrived
}

// wantNoMore sees to it that the program begins nothing new: it refuses the
// connection, or answers that it is shutting down. It asks until that is so,
// because the signal takes a moment, and while the event is in flight, because
// afterwards the program is gone.
func wantNoMore(t *testing.T, p *binary.Process, inFlight *flight) {
	t.Helper()
	ctx := testkit.Context(t)
	for {
		a, err := send(ctx, http.MethodPost, p.URL()+"/RefreshTokens", nil, "")
		switch {
		case inFlight.landed():
			t.Error("the program took new requests for as long as the event was in flight")
			return
		case err != nil, a.Status == http.StatusServiceUnavailable:
			return
		}
	}
}

// TestTerminateIdle ends a program that has nothing to do.
func TestTerminateIdle(t *testing.T) {
	t.Parallel()
	p := launch(t, newAmazon(t, simulator.Options{}).env(alexa.EU))
	if err := p.Terminate(); err != nil {
		t.Fatal(err)
	}
	if status, err := p.Wait(testkit.Context(t)); err != nil || status != 0 {
		t.Errorf("the program ended with status %d (%v), want 0", status, err)
	}
}
