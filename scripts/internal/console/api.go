package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/lint"
	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
	"github.com/gatepostdev/gatepost/scripts/internal/replay"
	"github.com/gatepostdev/gatepost/shared/alexa/examples"
)

// maxBody is the largest request.
const maxBody = 2 << 20

// handler serves a request whose answer is JSON.
type handler func(*http.Request) (any, error)

var (
	errNotFound = errors.New("there is no such thing, or it was dropped: the latest 2,000 rows are kept")
	errStarting = errors.New("the run has not started yet")
)

// routes are the API. README.md documents each.
func (c *Console) routes() map[string]http.HandlerFunc {
	routes := map[string]http.HandlerFunc{"GET /api/stream": c.stream}
	for pattern, handle := range map[string]handler{
		"GET /api/events":              c.list,
		"POST /api/events":             c.publish,
		"DELETE /api/events":           func(*http.Request) (any, error) { c.feed.clear(); return nil, nil },
		"GET /api/events/{id}":         func(r *http.Request) (any, error) { return c.detail(r, r.PathValue("id")) },
		"POST /api/events/{id}/repeat": c.repeat,
		"GET /api/customers":           c.customers,
		"POST /api/customers":          c.act,
		"POST /api/sweep":              c.sweep,
		"GET /api/examples":            c.examples,
		"POST /api/lint":               c.lint,
		"GET /api/trouble":             c.trouble,
		"POST /api/trouble":            c.makeTrouble,
		"DELETE /api/trouble":          func(*http.Request) (any, error) { c.amazon.Clear(); return nil, nil },
		"GET /api/letters":             c.listLetters,
		"POST /api/letters/{id}":       c.replay,
	} {
		routes[pattern] = handle.serve
	}
	return routes
}

func (h handler) serve(w http.ResponseWriter, r *http.Request) {
	result, err := h(r)
	status := http.StatusOK
	switch {
	case errors.Is(err, errNotFound), errors.Is(err, replay.ErrNoLetter):
		status = http.StatusNotFound
	case errors.Is(err, errStarting):
		status = http.StatusServiceUnavailable
	case err != nil:
		status = http.StatusBadRequest
	}
	if err != nil {
		result = map[string]string{"error": err.Error()}
	} else if result == nil {
		result = struct{}{}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(result)
}

// readBody decodes the body of a request.
func readBody(r *http.Request, into any) error {
	decoder := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("the body: %w", err)
	}
	return nil
}

func (c *Console) running() (*oneprocess.Gatepost, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.engine == nil {
		return nil, errStarting
	}
	return c.engine, nil
}

// policy is the Content-Security-Policy of all answers.
const policy = "default-src 'self'; frame-ancestors 'none'"

// Front returns the handler of the page and its API, and of next for all other paths. It
// answers to this machine only: a page of another site could make a browser send
// requests to it, under a name that the site has pointed here.
func (c *Console) Front(next http.Handler) http.Handler {
	c.mux.Handle("/", next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !cli.IsLoopback(r.Host) {
			http.Error(w, "only a loopback address is served", http.StatusForbidden)
			return
		}
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		if origin := r.Header.Get("Origin"); !reads && origin != "" && origin != "http://"+r.Host {
			http.Error(w, "a page of another origin may change nothing", http.StatusForbidden)
			return
		}
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")
		c.mux.ServeHTTP(w, r)
	})
}

// list returns the rows, the newest first, that the query selects.
func (c *Console) list(r *http.Request) (any, error) {
	rows, _, seq, _ := c.feed.since(0, 0)
	query := r.URL.Query()
	found := []Row{}
	for i := len(rows) - 1; i >= 0; i-- {
		row := rows[i]
		all := strings.ToLower(fmt.Sprint(row.ID, row.Customer, row.Endpoint, row.What, row.Outcome, row.Why, row.Region))
		if equal(query.Get("customer"), row.Customer) && equal(query.Get("outcome"), row.Outcome) && equal(query.Get("type"), row.Type) &&
			strings.Contains(row.Region, query.Get("region")) && strings.Contains(all, strings.ToLower(query.Get("text"))) {
			found = append(found, row)
		}
	}
	return map[string]any{"events": found, "seq": seq}, nil
}

func equal(wanted, value string) bool { return wanted == "" || wanted == value }

// batching is how long changes are gathered before they are sent.
const batching = 100 * time.Millisecond

// stream sends the rows as server-sent events: all of them, then those that change.
func (c *Console) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	var run, seq int64
	if before, after, ok := strings.Cut(r.Header.Get("Last-Event-ID"), "."); ok {
		run, _ = strconv.ParseInt(before, 10, 64)
		seq, _ = strconv.ParseInt(after, 10, 64)
	}
	flusher := http.NewResponseController(w)
	for {
		rows, nowRun, nowSeq, more := c.feed.since(run, seq)
		if nowRun != run {
			_, _ = io.WriteString(w, "event: reset\ndata: {}\n\n")
		}
		if nowRun != run || len(rows) > 0 {
			text, _ := json.Marshal(rows) // rows are plain values
			_, _ = fmt.Fprintf(w, "id: %d.%d\nevent: rows\ndata: %s\n\n", nowRun, nowSeq, text)
			if flusher.Flush() != nil {
				return
			}
		}
		run, seq = nowRun, nowSeq
		select {
		case <-more:
		case <-r.Context().Done():
			return
		case <-c.ctx.Done():
			return
		}
		select {
		case <-time.After(batching):
		case <-r.Context().Done():
			return
		}
	}
}

// example is a worked example of a device event.
type example struct {
	Name  string          `json:"name"`
	Event json.RawMessage `json:"event"`
}

// examples returns the worked examples, with the samples taken now.
func (c *Console) examples(*http.Request) (any, error) {
	all := []example{}
	for _, name := range examples.Names() {
		all = append(all, example{name, examples.At(name, c.now())})
	}
	return map[string]any{"examples": all}, nil
}

// lint returns what gatepost lint finds in an event.
func (c *Console) lint(r *http.Request) (any, error) {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return nil, err
	}
	var found bytes.Buffer
	env := &cli.Env{Stdin: bytes.NewReader(text), Stdout: &found, Stderr: io.Discard}
	if err := (lint.Command{JSON: true}).Run(r.Context(), env); err != nil && !errors.Is(err, cli.ErrReported) {
		return nil, err
	}
	findings := []json.RawMessage{}
	for decoder := json.NewDecoder(&found); ; {
		var f json.RawMessage
		if decoder.Decode(&f) != nil {
			return map[string]any{"findings": findings}, nil
		}
		findings = append(findings, f)
	}
}

// sweep starts a sweep, as the scheduler does.
func (c *Console) sweep(r *http.Request) (any, error) {
	engine, err := c.running()
	if err != nil {
		return nil, err
	}
	answer, err := engine.Post(r.Context(), "RefreshTokens", nil, nil)
	return json.RawMessage(cmp.Or(string(answer), "{}")), err
}
