package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/telemetry"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// The tests of this package meet the Lambda as AWS does: a compiled program,
// configured by its environment, that fetches invocations from a Runtime API. Those
// of many cases spare themselves the process: see [serve].

// Every secret, and every message's contents, has a canary in it. The last test is
// of what the programs of all the others wrote.
func TestMain(m *testing.M) { testkit.Main(m, world.Leaks) }

// program builds the program for this machine, when the first test asks. It does
// so without -trimpath, which would compile every dependency again.
var program = sync.OnceValues(func() (string, error) {
	dir, err := testkit.WorkDir()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	path := filepath.Join(dir, "bootstrap")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-tags", "lambda.norpc",
		"-ldflags", "-s -w -buildid=", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the program: %w: %s", err, output)
	}
	return path, nil
})

// patience bounds what takes far less on an idle machine.
const patience = 30 * time.Second

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

// instance is the proxy as one Lambda instance runs it.
type instance struct {
	run        func(ctx context.Context, payload []byte, deadline time.Time) (result, error)
	output     func() string
	waitOutput func(ctx context.Context, text string, n int) error
	runs       int
	later      time.Duration // that its clock is put forward, if it is in this process
}

// show looks at what an instance wrote in the end.
func (l *instance) show(t *testing.T) {
	t.Helper()
	world.Show(t.Name(), l.output())
	if lines := strings.Count(l.output(), mark); lines != l.runs {
		t.Errorf("%d invocations, and %d lines: %s", l.runs, lines, l.output())
	}
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
	l := &instance{output: process.Output, waitOutput: process.WaitOutput}
	l.run = func(ctx context.Context, payload []byte, deadline time.Time) (result, error) {
		ended, err := api.begin(ctx, payload, deadline)
		if err != nil {
			return result{}, fmt.Errorf("the program takes no invocation: %w", err)
		}
		select {
		case r := <-ended:
			return r, nil
		case <-ctx.Done():
			return result{}, fmt.Errorf("the invocation has not ended: %w", ctx.Err())
		}
	}
	t.Cleanup(func() {
		process.Kill()
		api.Close()
		l.show(t)
	})
	select {
	case <-api.first: // what follows is not to be blamed for the start
	case <-time.After(patience):
		t.Fatalf("the program does not start; it wrote: %s", process.Output())
	}
	return l
}

// serve is [start] for a proxy in this process.
func serve(t *testing.T, env map[string]string) *instance {
	t.Helper()
	var out bytes.Buffer
	l := &instance{output: out.String, waitOutput: func(context.Context, string, int) error { return nil }}
	s, err := read(config.NewSource(env), env)
	if err != nil {
		t.Fatal(err)
	}
	p := newProxy(s, telemetry.New(&out), func() time.Time { return time.Now().Add(l.later) }, rand.Float64)
	l.run = func(ctx context.Context, payload []byte, deadline time.Time) (result, error) {
		ctx, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		body, err := p.Invoke(ctx, payload)
		if err != nil {
			body = []byte(err.Error())
		}
		return result{body: body, failed: err != nil}, nil
	}
	t.Cleanup(func() { l.show(t) })
	return l
}

// invoke invokes the function with Lambda's deadline that far away.
func (l *instance) invoke(t *testing.T, message string, deadline time.Duration) result {
	t.Helper()
	l.runs++
	started := time.Now()
	r, err := l.run(testkit.Within(t, patience), []byte(message), started.Add(deadline))
	if err != nil {
		t.Fatalf("%v; the program wrote: %s", err, l.output())
	}
	r.took = time.Since(started)
	return r
}

// logged returns the nth line about an invocation.
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
	t.Fatalf("the line is missing in %s", l.output())
	return nil
}
