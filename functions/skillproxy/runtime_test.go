package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// role is the variable that makes the test binary run the Lambda.
const role = "SKILLPROXY_TEST_ROLE"

// TestMain runs the program itself in the processes that the tests start: [start]
// runs it as AWS does, configured by its environment, fetching invocations from a
// Runtime API. Tests with many cases use no process: see [serve].
//
// Every secret, and the contents of every message, contain a canary, which must not
// be in any program's output.
func TestMain(m *testing.M) {
	if os.Getenv(role) != "" {
		main()
		return
	}
	testkit.Main(m, world.Leaks)
}

// launch starts the program with env as its environment.
func launch(t *testing.T, env map[string]string) *binary.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{role: "lambda"}
	maps.Copy(all, env)
	process, err := binary.Start(self, all)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		process.Kill()
		world.Show(t.Name(), process.Output())
	})
	return process
}

// patience bounds waits that are far shorter on an idle machine.
const patience = 30 * time.Second

// runtimeAPI is Lambda's Runtime API for one process: see
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
type runtimeAPI struct {
	*httptest.Server
	queue chan *invocation
	ready chan struct{} // closed at the first GET next
	once  sync.Once
	n     atomic.Int32 // invocations so far
	now   atomic.Pointer[invocation]
}

// invocation is queued or in flight; an instance has one at a time.
type invocation struct {
	payload  []byte
	deadline time.Time
	ended    chan result
}

// result is the end of an invocation.
type result struct {
	body   []byte
	failed bool // by POST error
	took   time.Duration
}

func newRuntimeAPI(t *testing.T) *runtimeAPI {
	t.Helper()
	api := &runtimeAPI{queue: make(chan *invocation), ready: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", api.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{as}", api.end)
	api.Server = httptest.NewServer(mux)
	t.Cleanup(api.Close)
	return api
}

func (api *runtimeAPI) id() string { return fmt.Sprint("request-", api.n.Load()) }

func (api *runtimeAPI) next(w http.ResponseWriter, r *http.Request) {
	api.once.Do(func() { close(api.ready) })
	select {
	case i := <-api.queue:
		api.n.Add(1)
		api.now.Store(i)
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", api.id())
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.deadline.UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:skillproxy")
		w.Header().Set("Lambda-Runtime-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:0")
		_, _ = w.Write(i.payload)
	case <-r.Context().Done():
	}
}

func (api *runtimeAPI) end(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	i, as := api.now.Swap(nil), r.PathValue("as")
	if err != nil || i == nil || r.PathValue("id") != api.id() || as != "response" && as != "error" {
		http.Error(w, "no such invocation", http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	i.ended <- result{body: body, failed: as == "error"}
}

// run has the process handle an invocation.
func (api *runtimeAPI) run(ctx context.Context, payload []byte, deadline time.Time) (result, error) {
	i := &invocation{payload, deadline, make(chan result, 1)}
	select {
	case api.queue <- i:
	case <-ctx.Done():
		return result{}, fmt.Errorf("the program fetches no invocation: %w", ctx.Err())
	}
	select {
	case r := <-i.ended:
		return r, nil
	case <-ctx.Done():
		return result{}, fmt.Errorf("the invocation has not ended: %w", ctx.Err())
	}
}

// mark is in the log line of each invocation.
const mark = `"function":"SkillProxy"`

// instance is one Lambda instance of the proxy.
type instance struct {
	run        func(ctx context.Context, payload []byte, deadline time.Time) (result, error)
	output     func() string
	waitOutput func(ctx context.Context, text string, n int) error
	runs       int
	draw       float64 // of a proxy in this process
}

// count checks that the instance wrote one line for each invocation.
func (l *instance) count(t *testing.T) {
	t.Helper()
	if lines := strings.Count(l.output(), mark); lines != l.runs {
		t.Errorf("%d invocations and %d lines, want as many: %s", l.runs, lines, l.output())
	}
}

// start starts the program, and returns when it is ready.
func start(t *testing.T, w *cloud) *instance {
	t.Helper()
	api := newRuntimeAPI(t)
	process := launch(t, w.env(map[string]string{"AWS_LAMBDA_RUNTIME_API": strings.TrimPrefix(api.URL, "http://")}))
	l := &instance{run: api.run, output: process.Output, waitOutput: process.WaitOutput}
	t.Cleanup(func() {
		process.Kill()
		l.count(t)
	})
	select {
	case <-api.ready: // later durations exclude the start
	case <-time.After(patience):
		t.Fatalf("the program does not start; output: %s", process.Output())
	}
	return l
}

// serve is like [start] with a proxy in this process.
func serve(t *testing.T, w *cloud, changes map[string]string) *instance {
	t.Helper()
	var out bytes.Buffer
	l := &instance{output: out.String, waitOutput: func(context.Context, string, int) error { return nil }}
	env := w.env(changes)
	s, err := read(config.NewSource(env), env)
	if err != nil {
		t.Fatal(err)
	}
	p := newProxy(s, logging.New(&out), time.Now, func() float64 { return l.draw })
	if w.url == memoryURL {
		p.http.Transport = w
	}
	l.run = func(ctx context.Context, payload []byte, deadline time.Time) (result, error) {
		ctx, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		body, err := p.Invoke(ctx, payload)
		if err != nil {
			body = []byte(err.Error())
		}
		return result{body: body, failed: err != nil}, nil
	}
	t.Cleanup(func() {
		world.Show(t.Name(), l.output())
		l.count(t)
	})
	return l
}

// inBubble tests a proxy in this process in a synctest bubble. The network does not
// work in a bubble: requests go directly to their handlers.
func inBubble(t *testing.T, changes map[string]string, test func(t *testing.T, w *cloud, l *instance)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newMemoryCloud()
		test(t, w, serve(t, w, changes))
	})
}

// invoke invokes the function with a deadline.
func (l *instance) invoke(t *testing.T, message string, deadline time.Duration) result {
	t.Helper()
	l.runs++
	started := time.Now()
	r, err := l.run(testkit.Within(t, patience), []byte(message), started.Add(deadline))
	if err != nil {
		t.Fatalf("%v; output: %s", err, l.output())
	}
	r.took = time.Since(started)
	return r
}

// logged returns the line of the nth invocation.
func (l *instance) logged(t *testing.T, n int) map[string]any {
	t.Helper()
	if err := l.waitOutput(testkit.Within(t, patience), mark, n); err != nil {
		t.Fatal(err)
	}
	for text := range strings.Lines(l.output()) {
		if !strings.Contains(text, mark) {
			continue
		}
		if n--; n > 0 {
			continue
		}
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return line
	}
	t.Fatalf("no line %d in %s", n, l.output())
	return nil
}
