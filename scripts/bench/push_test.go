package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// receiver is a function that notes what is pushed to it.
type receiver struct {
	answer   func(n int) (int, string)
	mu       sync.Mutex
	n        int
	messages map[string]int // by id
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	message, err := push.Decode(body)
	var event struct{ UserID string }
	if err == nil {
		err = json.Unmarshal(message.Data, &event)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	status, text := r.answer(r.n)
	if err != nil || request.URL.Path != "/SendEvent" || event.UserID == "" {
		status, text = http.StatusTeapot, "not a device event"
	}
	r.messages[message.ID+" "+event.UserID]++
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

func pushTo(t *testing.T, j job, answer func(n int) (int, string)) (load, map[string]int) {
	t.Helper()
	r := &receiver{messages: make(map[string]int), answer: answer}
	function := httptest.NewServer(r)
	defer function.Close()
	j.Host, j.Path, j.Want = address(function.URL), "/SendEvent", "accepted"
	done, err := j.do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return done, r.messages
}

func accept(int) (int, string) { return http.StatusOK, `{"accepted":true}` }

func TestPush(t *testing.T) {
	t.Parallel()
	for name, every := range map[string]time.Duration{"as fast as it goes": 0, "at a rate": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done, messages := pushTo(t, job{Customers: 2, First: 98, Events: 4, InFlight: 3, Every: every}, accept)
			want := map[string]int{
				"0000000000000098 " + userID(0): 1, "0000000000000099 " + userID(1): 1,
				"0000000000000100 " + userID(0): 1, "0000000000000101 " + userID(1): 1,
			}
			if diff := cmp.Diff(want, messages); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			if done.Answered != 4 || done.Wrong != 0 || done.Statuses[200] != 4 || done.Half <= 0 || done.Longest < done.Worst ||
				done.Took < 4*every {
				t.Errorf("%+v", done)
			}
		})
	}
}

func TestPushComplains(t *testing.T) {
	t.Parallel()
	done, _ := pushTo(t, job{Customers: 1, Events: 3, InFlight: 1}, func(n int) (int, string) {
		return []int{200, 503, 200}[n-1], []string{"accepted", "accepted", "suspended"}[n-1]
	})
	if done.Wrong != 2 || done.Complaint != "answered 503 accepted" || done.Statuses[503] != 1 || done.Statuses[200] != 2 {
		t.Errorf("%+v", done)
	}
	none, err := job{Host: "127.0.0.1:1", Customers: 1, Events: 2, InFlight: 1}.do(t.Context())
	if err != nil || none.Wrong != 2 || none.Statuses[0] != 2 || !strings.Contains(none.Complaint, "refused") {
		t.Errorf("nothing listens: %+v, %v", none, err)
	}
}

func TestPushEndsInTime(t *testing.T) {
	t.Parallel()
	done, _ := pushTo(t, job{Customers: 1, Events: 1 << 40, InFlight: 2, For: 50 * time.Millisecond}, accept)
	if done.Answered == 0 || done.Took > 10*time.Second {
		t.Errorf("%+v", done)
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	for hundredths, want := range map[int]time.Duration{0: 1, 1: 1, 50: 50, 95: 95, 99: 99, 100: 100} {
		if got := percentile(hundred, hundredths); got != want {
			t.Errorf("%d %%: %d, want %d", hundredths, got, want)
		}
	}
	if none, one, two := percentile(nil, 50), percentile(hundred[:1], 99), percentile(hundred[:3], 50); none != 0 || one != 1 || two != 2 {
		t.Errorf("of nothing %v, of one %v, the middle of three %v", none, one, two)
	}
}

// TestGateway asks the gateway, which judges events in full when it is strict, by
// their body, and compares the tokens of header and body otherwise.
func TestGateway(t *testing.T) {
	t.Parallel()
	sim := simulator.New(simulator.Options{})
	var list [2]tokens
	for i := range list {
		var err error
		if list[i], err = exchange(sim, i); err != nil {
			t.Fatal(err)
		}
	}
	token := list[0].Access
	event := string(readyEvent(token, time.Now()))
	g := &gateway{judge: sim.GatewayHandler(region)}
	for _, test := range []struct {
		name, method, path, authorization, body string
		bare, strict                            bool
	}{
		{"good", "POST", "/v3/events", "Bearer " + token, event, true, true},
		{"no event", "POST", "/v3/events", "Bearer " + token, token, true, false},
		{"another token", "POST", "/v3/events", "Bearer " + list[1].Access, event, false, false},
		{"no bearer", "POST", "/v3/events", token, event, false, true},
		{"another path", "POST", "/", "Bearer " + token, event, false, false},
		{"another method", "PUT", "/v3/events", "Bearer " + token, event, false, false},
	} {
		for strict, want := range map[bool]bool{false: test.bare, true: test.strict} {
			g.strict.Store(strict)
			request := httptest.NewRequest(test.method, test.path, nil)
			request.Header.Set("Authorization", test.authorization)
			request.Header.Set("Content-Type", "application/json")
			if got := g.takes(request, []byte(test.body)); got != want {
				t.Errorf("%s, strict %v: taken %v, want %v", test.name, strict, got, want)
			}
		}
	}
}
