package host

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

	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// Handler answers one request. The context ends when the handler's time is
// up, when the caller has gone, or shortly before the process ends.
type Handler func(ctx context.Context, r Request) Answer

// Request is a POST whose body has been read whole.
type Request struct {
	Header http.Header
	Body   []byte
}

// Answer is what goes back. Body is JSON.
type Answer struct {
	Status int
	Body   []byte
}

// JSON makes an Answer of a value that encoding/json can encode.
func JSON(status int, value any) Answer {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err) // a programming error: answers are our own types
	}
	return Answer{Status: status, Body: body}
}

// Fail makes an Answer that names what is wrong. text goes to the caller and
// must not hold anything secret.
func Fail(status int, text string) Answer {
	return JSON(status, map[string]string{"error": text})
}

// Limits bound one request of a function.
type Limits struct {
	Body int64         // bytes
	Time time.Duration // for the handler, from the end of the body; shorter than the platform's time-out
}

// bodyTime is how long a body may take to arrive. Pub/Sub and the skill proxy
// send theirs at once.
const bodyTime = 10 * time.Second

// Host wraps the functions of one process.
type Host struct {
	log     *slog.Logger
	project string
	now     func() time.Time
	flights *flights
	first   func(context.Context)
	last    func(context.Context)
}

// First has f run before each request is handled, in the time of the request.
// Call it before the process serves.
func (h *Host) First(f func(context.Context)) { h.first = f }

// Last has f run when the process has drained, in the time that is left. Call it
// before the process serves.
func (h *Host) Last(f func(context.Context)) { h.last = f }

// New returns a Host that logs to log. project is the Google Cloud project
// that traces belong to, empty if unknown.
func New(log *slog.Logger, project string, now func() time.Time) *Host {
	return &Host{log: log, project: project, now: now, flights: newFlights(), first: func(context.Context) {}, last: func(context.Context) {}}
}

// Wrap makes an HTTP handler of a function. name is what logs call it.
func (h *Host) Wrap(name string, limits Limits, handle Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		started := h.now()
		ctx, line := telemetry.Begin(r.Context(), slog.String(telemetry.Function, name))
		if refusal := h.flights.begin(); refusal != "" {
			// The caller's connection is about to break, or its body was not read;
			// it should not reuse it.
			w.Header().Set("Connection", "close")
			telemetry.Raise(ctx, slog.LevelWarn)
			line.Write(ctx, h.log, name, slog.Int(telemetry.Status, http.StatusServiceUnavailable), slog.String(telemetry.Error, refusal))
			write(w, Fail(http.StatusServiceUnavailable, refusal))
			return
		}
		defer h.flights.land()
		if trace := telemetry.Trace(r.Header, h.project); trace.Key != "" {
			telemetry.Add(ctx, trace)
		}
		answer := h.answer(ctx, w, r, limits, handle)
		// Before the answer: after it the platform may take the processor away.
		line.Write(ctx, h.log, name, slog.Int(telemetry.Status, answer.Status),
			slog.Int64(telemetry.Duration, h.now().Sub(started).Milliseconds()))
		write(w, answer)
	}
}

// answer reads the request and lets the function answer it.
func (h *Host) answer(ctx context.Context, w http.ResponseWriter, r *http.Request, limits Limits, handle Handler) (answer Answer) {
	defer func() {
		if cause := recover(); cause != nil {
			telemetry.Raise(ctx, slog.LevelError)
			telemetry.Add(ctx, slog.Any(telemetry.Error, cause), slog.String(telemetry.Stack, string(debug.Stack())))
			answer = Fail(http.StatusInternalServerError, "internal error")
		}
	}()
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return Fail(http.StatusMethodNotAllowed, "POST only")
	}
	body, err := readBody(w, r, limits.Body)
	if err != nil {
		telemetry.Raise(ctx, slog.LevelWarn)
		telemetry.Add(ctx, slog.String(telemetry.Error, err.Error()))
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return Fail(http.StatusRequestEntityTooLarge, "body too large")
		}
		return Fail(http.StatusBadRequest, "body did not arrive")
	}
	ctx, cancel := h.flights.limit(ctx, limits.Time)
	defer cancel()
	h.first(ctx)
	return handle(ctx, Request{Header: r.Header, Body: body})
}

// readBody reads a body within its size and time.
func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(bodyTime)); err != nil {
		return nil, err
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, most), r.ContentLength)
	if err != nil {
		// The deadline stays: before it answers, the server tries to read what
		// is left of the body, and would wait for it for ever.
		w.Header().Set("Connection", "close")
		return nil, err
	}
	// Cleared, or the server would take the deadline for the client's leaving
	// and cancel the request while the function works.
	return body, control.SetReadDeadline(time.Time{})
}

// mostForeseen is how much memory a body gets on the word of its sender.
const mostForeseen = 64 << 10

// readAll is io.ReadAll for a body whose size the sender has announced, which is
// negative if it has not.
func readAll(body io.Reader, announced int64) ([]byte, error) {
	var whole bytes.Buffer
	// The buffer wants room for one read more than there is.
	whole.Grow(int(min(max(announced, 0), mostForeseen)) + bytes.MinRead)
	_, err := whole.ReadFrom(body)
	return whole.Bytes(), err
}

// isJSON is the Content-Type of every answer. It is not changed.
var isJSON = []string{"application/json"}

func write(w http.ResponseWriter, answer Answer) {
	w.Header()["Content-Type"] = isJSON
	w.Header().Set("Content-Length", strconv.Itoa(len(answer.Body)))
	w.WriteHeader(answer.Status)
	_, _ = w.Write(answer.Body) // a caller who has gone asks again
	// The request counts as landed when its handler returns, and the process
	// may end then: the answer must be on its way before.
	_ = http.NewResponseController(w).Flush()
}
