package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// TestEventsCommand compares a program with itself. With few events a sender's CPU
// may be 0.
func TestEventsCommand(t *testing.T) {
	t.Parallel()
	args := []string{"events", "-program", built(t), "-program", built(t), "-events", "200", "-customers", "5", "-in-flight", "4",
		"-rounds", "2", "-paced", "20"}
	wantLines(t, args,
		`200 events of 5 customers, 4 in flight, 2 rounds; grants in memory; \d+ CPUs, .*`,
		`sender +CPU of an event +times the floor's .*`,
		`floor +\S+s +1 .* MiB +0 +440`,
		`Gatepost 1 +\S+s +\S+ \(\S+ to \S+\) .* MiB +0 +440`,
		`Gatepost 2 +\S+s +\S+ \(\S+ to \S+\) .* MiB +0 +440`,
		`Python aiohttp( +\S+s .* MiB +0 +440| does not take part: .+)`,
		`Node express( +\S+s .* MiB +0 +440| does not take part: .+)`,
		`Gatepost 2 takes \S+ \(\S+ to \S+\) times the CPU of Gatepost 1`)
}

// TestWarmUp: a sender that sends nothing, or events that Amazon would refuse, is
// not measured.
func TestWarmUp(t *testing.T) {
	t.Parallel()
	w, err := startWorld(t.Context(), pins{}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Kill()
	list, err := w.tokens(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	token := list[0].Access
	for _, test := range []struct{ name, body, want string }{
		{"good", string(readyEvent(token, time.Now())), "<nil>"},
		{"nothing", "", "accepted 0 of 3 events and refused 0"},
		{"a token in an empty event", fmt.Sprintf(`{"token":%q}`, token), "accepted 0 of 3 events and refused 3"},
	} {
		f := &floor{http.DefaultClient, w.Gateway + "/v3/events", "Bearer " + token, []byte(test.body)}
		function := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if test.body != "" {
				_ = f.post(r.Context())
			}
		}))
		e := &events{customers: 3, inFlight: 1}
		err := e.warmUp(t.Context(), &stage{world: w, serial: 1}, sender{base: function.URL, path: "/"})
		function.Close()
		if got := fmt.Sprint(err); !strings.Contains(got, test.want) {
			t.Errorf("%s: error = %v, want %q", test.name, err, test.want)
		}
	}
}

func TestMissed(t *testing.T) {
	t.Parallel()
	for want, l := range map[string]load{
		"": {Taken: 15}, "the gateway accepted 14 of 15 events and refused 0": {Taken: 14},
		"the gateway accepted 15 of 15 events and refused 1": {Taken: 15, Refused: 1},
	} {
		if got := l.missed(15); got != want {
			t.Errorf("missed() = %q, want %q", got, want)
		}
	}
}

// TestFloorFails: the floor fails if the gateway does.
func TestFloorFails(t *testing.T) {
	t.Parallel()
	refusing := httptest.NewServer(http.NotFoundHandler())
	defer refusing.Close()
	answer := httptest.NewRecorder()
	(&floor{client: refusing.Client(), url: refusing.URL}).ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/", nil))
	if answer.Code != http.StatusBadGateway || !strings.Contains(answer.Body.String(), "404") {
		t.Errorf("answer = %d %s, want 502 with the gateway's status", answer.Code, answer.Body)
	}
}

func TestFindPeers(t *testing.T) {
	// fake returns a directory of programs that exit with a status.
	fake := func(status int, names ...string) string {
		dir := t.TempDir()
		for _, name := range names {
			testkit.Script(t, filepath.Join(dir, name), fmt.Sprintf("#!/bin/sh\nexit %d\n", status))
		}
		return dir
	}
	for name, test := range map[string]struct {
		path                 string
		install              bool
		python, node, absent string // ends of the paths, and the reason without node
	}{
		"nothing is there":   {fake(0), false, "", "", "no node"},
		"no packages":        {fake(1, "node", "python3"), false, "", "", "no express and axios for node: -install"},
		"packages are there": {fake(0, "node", "python3"), false, "/python3", "/node", "<nil>"},
		"npm is missing":     {fake(0, "node"), true, "", "", "npm install: "},
		"npm installs them":  {fake(0, "node", "npm"), true, "", "/node", "<nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", test.path)
			t.Setenv("NODE_PATH", "/some/modules")
			node, modules, err := findNode(t.Context(), "/dir", test.install)
			if !strings.HasSuffix(node, test.node) || !strings.Contains(fmt.Sprint(err), test.absent) || test.node == "" && err == nil {
				t.Errorf("node = %q, %v, want %q and %q", node, err, test.node, test.absent)
			}
			if want := map[bool]string{false: "/some/modules", true: "/dir/node_modules"}[test.install]; err == nil && modules != want {
				t.Errorf("modules = %s, want %s", modules, want)
			}
			if test.python == "" {
				return // the machine's Python may have aiohttp
			}
			if python, err := findPython(t.Context()); err != nil || !strings.HasSuffix(python, test.python) {
				t.Errorf("python = %q, %v, want %q", python, err, test.python)
			}
		})
	}
}

func TestWriteRounds(t *testing.T) {
	t.Parallel()
	at := func(micros int) turn {
		d := time.Duration(micros) * time.Microsecond
		return turn{cpu: d, half: 1000 * d, worst: 2000 * d, peak: int64(micros) << 20, atGateway: 100}
	}
	rounds := [][]turn{{at(100), at(200)}, {at(50), at(300)}, {at(80), at(80)}}
	rounds[1][1].wrong, rounds[1][1].complaint = 2, "answered 503"
	rounds[2][1].wrong, rounds[2][1].complaint = 1, "answered 500"
	var out strings.Builder
	if err := writeRounds(&out, []sender{{name: "floor"}, {name: "other"}}, rounds); err != nil {
		t.Fatal(err)
	}
	want := `
sender  CPU of an event  times the floor's    latency, median  99th percentile  most memory  errors  at the gateway
floor   80µs             1                    80ms             160ms            100.0 MiB    0       300
other   200µs            2.00 (1.00 to 6.00)  200ms            400ms            300.0 MiB    3       300
other: answered 503
`
	expect.Equal(t, "table", want, out.String())
}

// receiver is a function that records pushes.
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
			expect.Equal(t, "messages", want, messages)
			if done.Answered != 4 || done.Wrong != 0 || done.Statuses[200] != 4 || done.Half <= 0 || done.Longest < done.Worst ||
				done.Took < 4*every {
				t.Errorf("load = %+v", done)
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
		t.Errorf("load = %+v, want two wrong answers", done)
	}
	none, err := job{Host: "127.0.0.1:1", Customers: 1, Events: 2, InFlight: 1}.do(t.Context())
	if err != nil || none.Wrong != 2 || none.Statuses[0] != 2 || !strings.Contains(none.Complaint, "refused") {
		t.Errorf("load without a server = %+v, %v", none, err)
	}
}

func TestPushEndsInTime(t *testing.T) {
	t.Parallel()
	done, _ := pushTo(t, job{Customers: 1, Events: 1 << 40, InFlight: 2, For: 50 * time.Millisecond}, accept)
	if done.Answered == 0 || done.Took > 10*time.Second {
		t.Errorf("load = %+v, want it to end in time", done)
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
			t.Errorf("percentile %d = %d, want %d", hundredths, got, want)
		}
	}
	if none, one, two := percentile(nil, 50), percentile(hundred[:1], 99), percentile(hundred[:3], 50); none != 0 || one != 1 || two != 2 {
		t.Errorf("of none = %v, of one = %v, median of three = %v", none, one, two)
	}
}

// TestGateway: a strict gateway checks events completely, by their body; otherwise
// it compares the tokens of header and body.
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
				t.Errorf("%s, strict %v: takes() = %v, want %v", test.name, strict, got, want)
			}
		}
	}
}

// TestTableCommand also reads the raw figures.
func TestTableCommand(t *testing.T) {
	t.Parallel()
	raw := filepath.Join(t.TempDir(), "figures.json")
	// Enough events that no sender's CPU is 0.
	args := []string{"table", "-program", built(t), "-events", "600", "-rounds", "1", "-starts", "1", "-raw", raw}
	const sender = ` \| \d+ \| [\d.]+ ms \| [\d.]+ ms \| `
	wantLines(t, args, `\| Gatepost`+sender+`[\d.]+ ms \| \$1\.\d\d \| \$0\.00\d\d \|`,
		`(\| Python aiohttp, two e2-small`+sender+`– \| \$24\.46 a month and \$0\.20 \| – \||Python aiohttp does not take part: .+)`,
		`\| Svix, list price \| – \| – \| – \| – \| \$100 \| – \|`)
	text, err := os.ReadFile(raw)
	var f figures
	err = errors.Join(err, json.Unmarshal(text, &f))
	if err != nil || len(f.Senders) < 2 || f.Senders[1].CPU[0] <= 0 || len(f.Cold["SendEvent"]) != 1 {
		t.Errorf("raw figures = %+v, %v", f, err)
	}
}
