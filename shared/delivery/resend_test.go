package delivery_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// refusal is the error that the real client makes of an answer. It is made
// outside of a bubble, where the network works.
func refusal(t *testing.T, status int, header string) error {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if header != "" {
			w.Header().Set("Retry-After", header)
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, err = gateway.New(alexa.EU, base, server.Client()).Send(t.Context(), sensitive.New("t"), nil)
	return err
}

// scripted is a gateway that gives prepared answers, then takes everything,
// and notes when it was asked.
type scripted struct {
	mu      sync.Mutex
	started time.Time
	takes   time.Duration // for each answer
	slower  time.Duration // for each further one
	answers []error
	asked   []time.Duration
}

func (s *scripted) Send(ctx context.Context, _ sensitive.String, _ []byte) (gateway.Receipt, error) {
	s.mu.Lock()
	s.asked = append(s.asked, time.Since(s.started))
	takes := s.takes + time.Duration(len(s.asked)-1)*s.slower
	var err error
	if len(s.answers) > 0 {
		err, s.answers = s.answers[0], s.answers[1:]
	}
	s.mu.Unlock()
	time.Sleep(takes) // in a bubble
	return gateway.Receipt{Status: 202}, err
}

// constant gives out the same token always.
type constant struct{}

func (constant) Token(context.Context, grant.Record, string) (access.Token, error) {
	return access.Token{Access: sensitive.New("Atza|fake"), Version: 1}, nil
}

func (constant) Renew(context.Context, grant.Key, string, int64) (access.Token, error) {
	return access.Token{Access: sensitive.New("Atza|fake-2"), Version: 2}, nil
}

// bubble is a Deliverer whose clock is the bubble's, and customers with one
// grant each.
func bubble(t *testing.T, g delivery.Gateway, draw float64, customers int) *delivery.Deliverer {
	t.Helper()
	w := &accesstest.World{Clock: accesstest.NewClock(), Store: grantmem.New()}
	for i := range customers {
		w.Change(t, fmt.Sprint("u-", i+1), func(r *grant.Record) {
			r.Link(fmt.Sprint("g-", i+1), alexa.EU, "", grant.Tokens{AccessToken: []byte("x"), ExpiresAt: time.Now().Add(time.Hour)}, time.Now())
		})
	}
	return delivery.New(delivery.Options{
		Skill: accesstest.Skill, Store: w.Store, Tokens: constant{}, Gateways: map[alexa.Region]delivery.Gateway{alexa.EU: g},
		Announcer: w.Announcer(), MaxEventAge: 5 * time.Minute, Draw: func() float64 { return draw }, Now: time.Now,
	})
}

func eventOf(customer int) push.Message {
	return push.Message{ID: fmt.Sprint("m-", customer), Data: []byte(strings.Replace(report, "u-1", fmt.Sprint("u-", customer), 1)), PublishTime: time.Now(), Attempt: 1}
}

func TestResends(t *testing.T) {
	t.Parallel()
	busy, down, slow, proxy := refusal(t, 429, ""), refusal(t, 503, ""), refusal(t, 503, "4"), refusal(t, 404, "")
	never := refusal(t, 503, "3600")
	s := time.Second
	tests := []struct {
		name    string
		answers []error
		draw    float64
		takes   time.Duration
		time    time.Duration // of the handler
		want    delivery.OutcomeName
		asked   []time.Duration
	}{
		{"taken at once", nil, 0, 0, 25 * s, delivery.Accepted, []time.Duration{0}},
		{"a second apart", []error{busy, down, proxy}, 0, 0, 25 * s, delivery.Accepted, []time.Duration{0, s, 2 * s, 3 * s}},
		{"three times at most", []error{busy, down, busy, busy}, 0, 0, 25 * s, delivery.Redeliver, []time.Duration{0, s, 2 * s, 3 * s}},
		{"jitter grows", []error{busy, busy, busy}, 1, 0, 25 * s, delivery.Accepted, []time.Duration{0, 2 * s, 5 * s, 10 * s}},
		{"Retry-After", []error{slow}, 0.5, 0, 25 * s, delivery.Accepted, []time.Duration{0, 4500 * time.Millisecond}},
		{"Retry-After of an hour", []error{never}, 0, 0, 25 * s, delivery.Redeliver, []time.Duration{0}},
		{"handed back early", []error{busy, busy}, 0, 4 * s, 15 * s, delivery.Redeliver, []time.Duration{0, 5 * s}},
		{"no time for a first attempt", nil, 0, 0, 5 * s, delivery.Redeliver, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := &scripted{answers: test.answers, takes: test.takes, started: time.Now()}
				ctx, cancel := context.WithTimeout(t.Context(), test.time)
				defer cancel()
				results := bubble(t, g, test.draw, 1).Deliver(ctx, eventOf(1))
				if len(results) != 1 || results[0].Name != test.want {
					t.Errorf("%+v, want %s", results, test.want)
				}
				if diff := cmp.Diff(test.asked, g.asked); diff != "" {
					t.Errorf("asked (-want +got):\n%s", diff)
				}
				if ctx.Err() != nil {
					t.Error("it came back too late")
				}
			})
		})
	}
}

func TestPauses(t *testing.T) {
	t.Parallel()
	busy, down := refusal(t, 429, "30"), refusal(t, 503, "")
	t.Run("of a grant", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := &scripted{answers: []error{busy}, started: time.Now()}
			d := bubble(t, g, 0, 2)
			ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
			defer cancel()
			for _, try := range []struct {
				customer int
				want     delivery.OutcomeName
				asked    int
			}{{1, delivery.Redeliver, 1}, {1, delivery.Redeliver, 1}, {2, delivery.Accepted, 2}} {
				if r := d.Deliver(ctx, eventOf(try.customer)); r[0].Name != try.want || len(g.asked) != try.asked {
					t.Errorf("customer %d: %s after %d requests, want %s after %d", try.customer, r[0].Name, len(g.asked), try.want, try.asked)
				}
			}
			time.Sleep(28 * time.Second) // the rest of the pause is short
			ctx, cancel = context.WithTimeout(t.Context(), 25*time.Second)
			defer cancel()
			if r := d.Deliver(ctx, eventOf(1)); r[0].Name != delivery.Accepted || g.asked[2] != 30*time.Second {
				t.Errorf("after the pause: %s at %v", r[0].Name, g.asked)
			}
		})
	})
	t.Run("is not shortened", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			// The answer to the second comes later, and asks for less.
			g := &scripted{answers: []error{busy, down}, started: time.Now(), takes: time.Second, slower: time.Second}
			d := bubble(t, g, 0, 1)
			ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
			defer cancel()
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() { d.Deliver(ctx, eventOf(1)) })
			}
			wg.Wait()
			if r := d.Deliver(ctx, eventOf(1)); r[0].Name != delivery.Redeliver || len(g.asked) != 2 {
				t.Errorf("%s after %d requests, want it handed back after 2", r[0].Name, len(g.asked))
			}
		})
	})
	t.Run("one chatty customer is not a region", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := &scripted{started: time.Now()}
			for range 30 {
				g.answers = append(g.answers, busy)
			}
			d := bubble(t, g, 0, 2)
			ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
			defer cancel()
			for range 30 {
				d.Deliver(ctx, eventOf(1))
			}
			g.answers = nil
			if r := d.Deliver(ctx, eventOf(2)); r[0].Name != delivery.Accepted {
				t.Errorf("another customer: %s", r[0].Name)
			}
		})
	})
	t.Run("ten customers are", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := &scripted{started: time.Now()}
			for range 10 {
				g.answers = append(g.answers, busy)
			}
			d := bubble(t, g, 0, 11)
			ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
			defer cancel()
			for i := range 10 {
				d.Deliver(ctx, eventOf(i+1))
			}
			if r := d.Deliver(ctx, eventOf(11)); r[0].Name != delivery.Redeliver || len(g.asked) != 10 {
				t.Errorf("the eleventh: %s after %d requests", r[0].Name, len(g.asked))
			}
		})
	})
}
