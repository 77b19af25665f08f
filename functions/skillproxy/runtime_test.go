package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/testkit/binary"
)

// runtimeAPI plays Lambda's Runtime API for one process, see
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
type runtimeAPI struct {
	*httptest.Server
	queue chan invocation

	mu      sync.Mutex
	n       int
	running map[string]chan result
	first   chan struct{} // closed at the first GET next
}

type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
}

// result is what became of an invocation.
type result struct {
	body   []byte
	failed bool // by POST error
	took   time.Duration
}

func newRuntimeAPI() *runtimeAPI {
	api := &runtimeAPI{queue: make(chan invocation), running: make(map[string]chan result), first: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", api.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) { api.end(w, r, false) })
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", func(w http.ResponseWriter, r *http.Request) { api.end(w, r, true) })
	api.Server = httptest.NewServer(mux)
	return api
}

func (api *runtimeAPI) next(w http.ResponseWriter, r *http.Request) {
	api.mu.Lock()
	select {
	case <-api.first:
	default:
		close(api.first)
	}
	api.mu.Unlock()
	select {
	case i := <-api.queue:
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", i.id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.deadline.UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:skillproxy")
		w.Header().Set("Lambda-Runtime-Trace-Id", "Root=1-0-0")
		_, _ = w.Write(i.payload)
	case <-r.Context().Done():
	}
}

func (api *runtimeAPI) end(w http.ResponseWriter, r *http.Request, failed bool) {
	body, err := io.ReadAll(r.Body)
	api.mu.Lock()
	defer api.mu.Unlock()
	waiting, ok := api.running[r.PathValue("id")]
	if err != nil || !ok {
		http.Error(w, "no such invocation", http.StatusBadRequest)
		return
	}
	delete(api.running, r.PathValue("id"))
	waiting <- result{body: body, failed: failed}
	w.WriteHeader(http.StatusAccepted)
}

// begin queues an invocation.
func (api *runtimeAPI) begin(ctx context.Context, payload []byte, deadline time.Time) (<-chan result, error) {
	ended := make(chan result, 1)
	api.mu.Lock()
	api.n++
	i := invocation{"request-" + strconv.Itoa(api.n), payload, deadline}
	api.running[i.id] = ended
	api.mu.Unlock()
	select {
	case api.queue <- i:
		return ended, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// mark is in the one line that each invocation writes.
const mark = `"function":"SkillProxy"`

// instance is the program as one Lambda instance runs it.
type instance struct {
	api     *runtimeAPI
	process *binary.Process
}

// start starts the program, and returns when it is ready.
func start(t *testing.T, env map[string]string) *instance {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	api := newRuntimeAPI()
	env["AWS_LAMBDA_RUNTIME_API"] = strings.TrimPrefix(api.URL, "http://")
	process, err := binary.Start(path, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		process.Kill()
		api.Close()
		written.add(t.Name(), process.Output())
		if lines := strings.Count(process.Output(), mark); lines != api.n {
			t.Errorf("%d invocations, and %d lines: %s", api.n, lines, process.Output())
		}
	})
	select {
	case <-api.first: // what follows is not to be blamed for the start
	case <-time.After(patience):
		t.Fatalf("the program does not start; it wrote: %s", process.Output())
	}
	return &instance{api, process}
}

// invoke invokes the function with Lambda's deadline that far away.
func (l *instance) invoke(t *testing.T, message string, deadline time.Duration) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	started := time.Now()
	ended, err := l.api.begin(ctx, []byte(message), started.Add(deadline))
	if err != nil {
		t.Fatalf("the program takes no invocation: %v; it wrote: %s", err, l.process.Output())
	}
	select {
	case r := <-ended:
		r.took = time.Since(started)
		return r
	case <-ctx.Done():
		t.Fatalf("the invocation has not ended; the program wrote: %s", l.process.Output())
		return result{}
	}
}

// logged returns the nth line about an invocation.
func (l *instance) logged(t *testing.T, n int) map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := l.process.WaitOutput(ctx, mark, n); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(l.process.Output()) {
		if strings.Contains(line, mark) {
			lines = append(lines, line)
		}
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[n-1]), &line); err != nil {
		t.Fatalf("%v: %s", err, lines[n-1])
	}
	return line
}
