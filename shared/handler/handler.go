package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gatepostdev/gatepost/shared/logging"
)

// Func answers one request. The context ends at the handler's deadline, when the
// client disconnects, or shortly before the process ends.
type Func func(ctx context.Context, r Request) Answer

// Request is a POST whose body has been read whole.
type Request struct {
	Header  http.Header
	Body    []byte
	project string
}

// Follow links the log line to the trace in traceparent, for example the publisher's,
// instead of the request's own trace. It ignores a traceparent that is empty or
// invalid.
func (r Request) Follow(ctx context.Context, traceparent string) {
	addTrace(ctx, logging.TraceOf(traceparent, r.project))
}

func addTrace(ctx context.Context, trace slog.Attr) {
	if trace.Key != "" {
		logging.Add(ctx, trace)
	}
}

// Answer is the response. Body is JSON.
type Answer struct {
	Status int
	Body   []byte
}

// JSON returns an Answer of a value that encoding/json can encode.
func JSON(status int, value any) Answer {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err) // a bug: all answers are types that can be encoded
	}
	return Answer{Status: status, Body: body}
}

// Fail returns an Answer with an error text. text goes to the caller and must not hold
// a secret.
func Fail(status int, text string) Answer {
	return JSON(status, map[string]string{"error": text})
}

// Limits bound one request of a function.
type Limits struct {
	Body int64         // bytes
	Time time.Duration // for the handler, after the body is read; shorter than the platform's timeout
}

// bodyTime is how long a body may take to arrive. Pub/Sub and the skill proxy
// send theirs at once.
const bodyTime = 10 * time.Second

// Group wraps the functions of one process.
type Group struct {
	log     *slog.Logger
	project string
	now     func() time.Time
	flights *flights
	first   func(context.Context)
	last    func(context.Context)
}

// First sets a function to run before each handler, within the handler's time. Call
// First before the process serves.
func (h *Group) First(f func(context.Context)) { h.first = f }

// Last sets a function to run after the drain, in the time that is left. Call Last
// before the process serves.
func (h *Group) Last(f func(context.Context)) { h.last = f }

// New returns a Group that logs to log. project is the Google Cloud project of the
// traces, empty if unknown.
func New(log *slog.Logger, project string, now func() time.Time) *Group {
	return &Group{log: log, project: project, now: now, flights: newFlights(), first: func(context.Context) {}, last: func(context.Context) {}}
}

// Wrap returns the HTTP handler of a function. name is the function's name in the log.
func (h *Group) Wrap(name string, limits Limits, handle Func) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		started := h.now()
		ctx, line := logging.Begin(r.Context(), slog.String(logging.Function, name))
		if refusal := h.flights.begin(); refusal != "" {
			// The connection should not be reused: the process is about to end, or the
			// body was not read.
			w.Header().Set("Connection", "close")
			logging.Raise(ctx, slog.LevelWarn)
			line.Write(ctx, h.log, name, slog.Int(logging.Status, http.StatusServiceUnavailable), slog.String(logging.Error, refusal))
			write(w, Fail(http.StatusServiceUnavailable, refusal))
			return
		}
		defer h.flights.land()
		addTrace(ctx, logging.Trace(r.Header, h.project))
		answer := h.answer(ctx, w, r, limits, handle)
		// Before the answer: after it the platform may suspend the process.
		line.Write(ctx, h.log, name, slog.Int(logging.Status, answer.Status),
			slog.Int64(logging.Duration, h.now().Sub(started).Milliseconds()))
		write(w, answer)
	}
}

// answer reads the request and returns the function's answer.
func (h *Group) answer(ctx context.Context, w http.ResponseWriter, r *http.Request, limits Limits, handle Func) (answer Answer) {
	defer func() {
		if cause := recover(); cause != nil {
			logging.Raise(ctx, slog.LevelError)
			logging.Add(ctx, slog.Any(logging.Error, cause), slog.String(logging.Stack, string(debug.Stack())))
			answer = Fail(http.StatusInternalServerError, "internal error")
		}
	}()
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return Fail(http.StatusMethodNotAllowed, "POST only")
	}
	body, err := readBody(w, r, limits.Body)
	if err != nil {
		logging.Raise(ctx, slog.LevelWarn)
		logging.Add(ctx, slog.String(logging.Error, err.Error()))
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return Fail(http.StatusRequestEntityTooLarge, "body too large")
		}
		return Fail(http.StatusBadRequest, "body did not arrive")
	}
	ctx, cancel := h.flights.limit(ctx, limits.Time)
	defer cancel()
	h.first(ctx)
	return handle(ctx, Request{Header: r.Header, Body: body, project: h.project})
}

// readBody reads a body within its size and time.
func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(bodyTime)); err != nil {
		return nil, err
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, most), r.ContentLength)
	if err != nil {
		// The deadline stays: before the server answers, it reads the rest of the
		// body, and would wait for it indefinitely.
		w.Header().Set("Connection", "close")
		return nil, err
	}
	// Cleared, since the server takes a passed deadline for a disconnect, and would
	// cancel the request while the function works.
	return body, control.SetReadDeadline(time.Time{})
}

// maxPreallocated is the most memory that is allocated before the body arrives.
const maxPreallocated = 64 << 10

// readAll is io.ReadAll for a body of an announced size, which is negative if unknown.
func readAll(body io.Reader, announced int64) ([]byte, error) {
	var whole bytes.Buffer
	// ReadFrom grows the buffer unless there is room for one more read.
	whole.Grow(int(min(max(announced, 0), maxPreallocated)) + bytes.MinRead)
	_, err := whole.ReadFrom(body)
	return whole.Bytes(), err
}

// isJSON is the Content-Type of every answer. It must not be changed.
var isJSON = []string{"application/json"}

func write(w http.ResponseWriter, answer Answer) {
	w.Header()["Content-Type"] = isJSON
	w.Header().Set("Content-Length", strconv.Itoa(len(answer.Body)))
	w.WriteHeader(answer.Status)
	_, _ = w.Write(answer.Body) // a caller that has disconnected retries
	// Once its handler returns, the request no longer counts as in flight and the
	// process may exit. So the answer must be sent first.
	_ = http.NewResponseController(w).Flush()
}
