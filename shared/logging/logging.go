// Package logging writes logs in Cloud Logging's format: one JSON object per line,
// with severity, message and trace.
//
// Each unit of work (a request, a swept shard) writes one wide line at its end. Code
// along the way adds fields to it with [Add]. The field names are the constants of this
// package, so that a query works for every function.
package logging

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Names of fields in log lines. functions/CONTRACTS.md lists their meaning and where
// they appear.
const (
	Function  = "function"
	Status    = "status"
	Duration  = "duration_ms"
	Error     = "error"
	Stack     = "stack"
	TraceID   = "logging.googleapis.com/trace"
	Outcome   = "outcome"
	Reason    = "reason"
	Region    = "region"
	Customer  = "customer"
	GrantID   = "grant_id"
	Kind      = "kind"
	MessageID = "message_id"
	Code      = "alexa_code"
	Renewed   = "renewed"
	LWAMS     = "lwa_ms"

	EventID       = "event_id"
	EndpointID    = "endpoint_id"
	Changed       = "changed"
	Published     = "event_published"
	AgeMS         = "event_age_ms"
	DeliveredMS   = "delivered_ms"
	Attempt       = "attempt"
	AdviceCount   = "event_advice_count"
	Advice        = "event_advice"
	Grants        = "grants"
	Decision      = "decision"
	Deliveries    = "deliveries"
	Gateway       = "gateway_id"
	GatewayStatus = "gateway_status"
	GatewayTries  = "gateway_tries"
	GatewayMS     = "gateway_ms"
	AnnounceError = "announce_error"

	Shards    = "shards"
	Refreshed = "refreshed"
	Skipped   = "skipped"
	Failed    = "failed"
	Remaining = "remaining"
)

// New returns a logger that writes to w in Cloud Logging's format.
func New(w io.Writer) *slog.Logger {
	return slog.New(newHandler(w))
}

// rename renames slog's own fields to Cloud Logging's: see
// https://cloud.google.com/logging/docs/structured-logging.
func rename(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.LevelKey:
		a.Key = "severity"
		if a.Value.Any() == slog.LevelWarn {
			a.Value = slog.StringValue("WARNING")
		}
	case slog.MessageKey:
		a.Key = "message"
	}
	return a
}

// Line collects the fields of one wide line. It is safe for concurrent use.
type Line struct {
	mu    sync.Mutex
	level slog.Level
	attrs []slog.Attr
}

type lineKey struct{}

// Begin returns a new Line, and a context by which [Add] and [Raise] find it.
func Begin(ctx context.Context, attrs ...slog.Attr) (context.Context, *Line) {
	line := &Line{attrs: append(make([]slog.Attr, 0, 24), attrs...)}
	return context.WithValue(ctx, lineKey{}, line), line
}

// Add adds fields to the line of ctx, if it has one. A later field replaces an earlier
// one of the same name.
func Add(ctx context.Context, attrs ...slog.Attr) {
	if line, ok := ctx.Value(lineKey{}).(*Line); ok {
		line.mu.Lock()
		defer line.mu.Unlock()
		line.attrs = append(line.attrs, attrs...)
	}
}

// Raise raises the level of ctx's line to at least level: Info is expected, Warn is
// retried, Error needs a person's attention.
func Raise(ctx context.Context, level slog.Level) {
	if line, ok := ctx.Value(lineKey{}).(*Line); ok {
		line.mu.Lock()
		defer line.mu.Unlock()
		line.level = max(line.level, level)
	}
}

// Write logs the line with the fields added so far and last.
func (l *Line) Write(ctx context.Context, log *slog.Logger, message string, last ...slog.Attr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	attrs := lastOfEach(append(l.attrs, last...))
	if h, ok := log.Handler().(handler); ok && h.write(time.Now(), l.level, message, attrs) {
		return // without a slog.Record, which would copy the fields
	}
	log.LogAttrs(ctx, l.level, message, attrs...)
}

// lastOfEach returns the last field of each name: readers of JSON disagree on which of
// two duplicates counts.
func lastOfEach(attrs []slog.Attr) []slog.Attr {
	kept := attrs[:0]
	for i, a := range attrs {
		if !slices.ContainsFunc(attrs[i+1:], func(later slog.Attr) bool { return later.Key == a.Key }) {
			kept = append(kept, a)
		}
	}
	return kept
}

// Trace returns the field that links a line to the request's trace, or the empty field
// if the request has none. It reads the W3C traceparent header and Google's older
// X-Cloud-Trace-Context. project is the Google Cloud project, without which Cloud
// Logging cannot find a trace.
func Trace(h http.Header, project string) slog.Attr {
	if trace := TraceOf(h.Get("Traceparent"), project); trace.Key != "" {
		return trace
	}
	// TRACE_ID/SPAN_ID;o=OPTIONS
	id, _, _ := strings.Cut(h.Get("X-Cloud-Trace-Context"), "/")
	return traceField(id, project)
}

// TraceOf is Trace for the text of a traceparent:
// https://www.w3.org/TR/trace-context/#traceparent-header.
func TraceOf(traceparent, project string) slog.Attr {
	_, rest, _ := strings.Cut(traceparent, "-") // version-traceid-parentid-flags
	id, rest, _ := strings.Cut(rest, "-")
	if !strings.Contains(rest, "-") {
		return slog.Attr{}
	}
	return traceField(id, project)
}

func traceField(id, project string) slog.Attr {
	if !isTraceID(id) {
		return slog.Attr{}
	}
	if project != "" {
		id = "projects/" + project + "/traces/" + id
	}
	return slog.String(TraceID, id)
}

func isTraceID(s string) bool {
	return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == "" && strings.Trim(s, "0") != ""
}

// unsolicited begins the line that net/http writes to the standard logger when a server
// sends more than it announced. The rest of the line quotes bytes from the wire, which
// may be the tokens of another request.
var unsolicited = []byte("Unsolicited response received on idle HTTP channel")

// WithoutWire returns a writer for the standard logger that writes lines to w without
// the bytes that they quote from the wire.
func WithoutWire(w io.Writer) io.Writer { return withoutWire{w} }

type withoutWire struct{ to io.Writer }

// Write writes one line of package log.
func (w withoutWire) Write(line []byte) (int, error) {
	shown := line
	if i := bytes.Index(line, unsolicited); i >= 0 {
		shown = append(append([]byte(nil), line[:i+len(unsolicited)]...), '\n')
	}
	if _, err := w.to.Write(shown); err != nil {
		return 0, err
	}
	return len(line), nil
}
