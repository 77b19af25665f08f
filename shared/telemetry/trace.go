package telemetry

import (
	"log/slog"
	"net/http"
	"strings"
)

// Trace returns the field that ties a line to the request's trace, or the
// empty field when the request has none. It reads the W3C traceparent header
// and Google's older X-Cloud-Trace-Context. project is the Google Cloud
// project, without which Cloud Logging cannot find a trace.
func Trace(h http.Header, project string) slog.Attr {
	id := traceID(h)
	if id == "" {
		return slog.Attr{}
	}
	if project != "" {
		id = "projects/" + project + "/traces/" + id
	}
	return slog.String(TraceID, id)
}

func traceID(h http.Header) string {
	// https://www.w3.org/TR/trace-context/: version-traceid-parentid-flags
	_, rest, _ := strings.Cut(h.Get("Traceparent"), "-")
	if id, flags, _ := strings.Cut(rest, "-"); strings.Contains(flags, "-") && isTraceID(id) {
		return id
	}
	// TRACE_ID/SPAN_ID;o=OPTIONS
	if id, _, _ := strings.Cut(h.Get("X-Cloud-Trace-Context"), "/"); isTraceID(id) {
		return id
	}
	return ""
}

func isTraceID(s string) bool {
	return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == "" && strings.Trim(s, "0") != ""
}
