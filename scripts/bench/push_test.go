package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/push"
)

// receiver is a function that notes what is pushed to it.
type receiver struct {
	mu       sync.Mutex
	messages map[string]int // by id
	answer   func(n int) (int, string)
	n        int
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

func pushTo(t *testing.T, j job, answer func(n int) (int, string)) (load, *receiver) {
	t.Helper()
	r := &receiver{messages: make(map[string]int), answer: answer}
	server := httptest.NewServer(r)
	defer server.Close()
	j.Host, j.Path, j.Want = hostOf(server.URL), "/SendEvent", "accepted"
	done, err := j.do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return done, r
}

func accept(int) (int, string) { return 200, `{"accepted":true}` }

func TestPush(t *testing.T) {
	t.Parallel()
	for name, every := range map[string]time.Duration{"as fast as it goes": 0, "at a rate": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done, r := pushTo(t, job{Customers: 2, First: 98, Events: 4, InFlight: 3, Every: every}, accept)
			want := map[string]int{
				"0000000000000098 " + userID(0): 1, "0000000000000099 " + userID(1): 1,
				"0000000000000100 " + userID(0): 1, "0000000000000101 " + userID(1): 1,
			}
			if diff := cmp.Diff(want, r.messages); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			if done.Answered != 4 || done.Wrong != 0 || done.Statuses[200] != 4 || done.Half <= 0 || done.Longest < done.Worst {
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
	j := job{Host: "127.0.0.1:1", Customers: 1, Events: 2, InFlight: 1}
	none, err := j.do(t.Context())
	if err != nil || none.Wrong != 2 || none.Statuses[0] != 2 || !strings.Contains(none.Complaint, "refused") {
		t.Errorf("nobody listens: %+v, %v", none, err)
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
	got := map[int]time.Duration{}
	for _, hundredths := range []int{0, 1, 50, 95, 99, 100} {
		got[hundredths] = percentile(hundred, hundredths)
	}
	want := map[int]time.Duration{0: 1, 1: 1, 50: 50, 95: 95, 99: 99, 100: 100}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if percentile(nil, 50) != 0 || percentile(hundred[:1], 99) != 1 || percentile(hundred[:3], 50) != 2 {
		t.Errorf("of nothing %v, of one %v, of three %v", percentile(nil, 50), percentile(hundred[:1], 99), percentile(hundred[:3], 50))
	}
}

func TestBareGateway(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method, path, authorization, body string
		strict                            bool
		taken                             bool
	}{
		"token in both":     {"POST", "/v3/events", "Bearer Atza|fake-1", `{"token":"Atza|fake-1"}`, false, true},
		"token in one":      {"POST", "/v3/events", "Bearer Atza|fake-1", `{"token":"Atza|fake-2"}`, false, false},
		"no bearer":         {"POST", "/v3/events", "Atza|fake-1", `{"token":"Atza|fake-1"}`, false, false},
		"another path":      {"POST", "/", "Bearer Atza|fake-1", `{"token":"Atza|fake-1"}`, false, false},
		"another method":    {"PUT", "/v3/events", "Bearer Atza|fake-1", `{"token":"Atza|fake-1"}`, false, false},
		"judged in full":    {"POST", "/v3/events", "Bearer Atza|fake-1", "good", true, true},
		"refused by who is": {"POST", "/v3/events", "Bearer Atza|fake-1", `{"token":"Atza|fake-1"}`, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &bareGateway{judge: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if body, _ := io.ReadAll(r.Body); string(body) == "good" {
					w.WriteHeader(http.StatusAccepted)
				}
			})}
			g.strict.Store(test.strict)
			request := httptest.NewRequest(test.method, test.path, nil)
			request.Header.Set("Authorization", test.authorization)
			if got := g.takes(request, []byte(test.body)); got != test.taken {
				t.Errorf("taken: %v, want %v", got, test.taken)
			}
		})
	}
}

// TestWorld asks the process for what it has seen.
func TestWorld(t *testing.T) {
	t.Parallel()
	w, err := startWorld(t.Context(), pins{})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := newEnrol(w).tokens(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	for name, order := range map[string]gatewayOrder{"judging": {Strict: true}, "not judging": {Delay: time.Millisecond}} {
		if _, err := w.order(order); err != nil {
			t.Fatal(err)
		}
		ready := readyEvent(tokens[0], time.Now())
		right := job{Host: hostOf(w.Gateway), Path: "/v3/events", Events: 3, InFlight: 2, Ready: ready, Token: tokens[0]}
		wrong := right
		wrong.Token = tokens[1]
		for _, j := range []job{right, wrong} {
			if _, err := j.do(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		tally, err := w.order(gatewayOrder{})
		if err != nil || tally.Taken != 3 || tally.Refused != 3 {
			t.Errorf("%s: %+v, %v; want 3 taken and 3 refused", name, tally, err)
		}
	}
	if err := w.stop(); err != nil {
		t.Error(err)
	}
}

func TestFloorFails(t *testing.T) {
	t.Parallel()
	refusing := httptest.NewServer(http.NotFoundHandler())
	defer refusing.Close()
	f := &floor{client: refusing.Client(), url: refusing.URL}
	answer := httptest.NewRecorder()
	f.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/", nil))
	if answer.Code != http.StatusBadGateway || !strings.Contains(answer.Body.String(), "404") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

func TestChildrenAreNoCommands(t *testing.T) {
	t.Parallel()
	got := slices.Sorted(maps.Keys(children))
	if diff := cmp.Diff([]string{"amazon", "floor", "gateway", "push"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, name := range got {
		if strings.Contains(usage, "\n  "+name+" ") {
			t.Errorf("the usage offers %s", name)
		}
	}
}
