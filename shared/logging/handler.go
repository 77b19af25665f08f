package logging

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// handler writes lines of plain fields, which nearly all are, by itself: slog's handler
// calls a function for each field of each line to rename two of them. slog's handler
// writes the other lines. Both write the same format.
type handler struct {
	slog.Handler
	out *lines
}

func newHandler(w io.Writer) slog.Handler {
	out := &lines{w: w}
	return handler{slog.NewJSONHandler(out, &slog.HandlerOptions{ReplaceAttr: rename}), out}
}

// lines serializes concurrent writes, so that lines do not mix.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(line)
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Handle implements [slog.Handler].
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	attrs := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	if h.write(r.Time, r.Level, r.Message, attrs) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// write writes a line, or returns false if the line needs slog's handler.
func (h handler) write(at time.Time, level slog.Level, message string, attrs []slog.Attr) bool {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	line, ok := appendLine((*buffer)[:0], at, level, message, attrs)
	*buffer = line
	if ok {
		_, _ = h.out.Write(line) // there is nowhere to report an error of the log
	}
	return ok
}

// appendLine appends a line to dst. ok is false if the line needs slog's handler; the
// appended bytes are invalid then.
func appendLine(dst []byte, at time.Time, level slog.Level, message string, attrs []slog.Attr) (line []byte, ok bool) {
	dst = append(at.AppendFormat(append(dst, `{"time":"`...), time.RFC3339Nano), `","severity":"`...)
	switch level {
	case slog.LevelInfo:
		dst = append(dst, "INFO"...)
	case slog.LevelWarn:
		dst = append(dst, "WARNING"...)
	case slog.LevelError:
		dst = append(dst, "ERROR"...)
	default:
		return dst, false
	}
	dst = append(dst, `","message":`...)
	dst, ok = appendPlain(dst, message)
	ok = ok && !at.IsZero()
	for _, a := range attrs {
		if ok {
			dst, ok = appendField(dst, a)
		}
	}
	return append(dst, "}\n"...), ok
}

func appendField(dst []byte, a slog.Attr) ([]byte, bool) {
	switch a.Key {
	case slog.LevelKey, slog.MessageKey: // these are for rename
		return dst, false
	}
	dst, ok := appendPlain(append(dst, ','), a.Key)
	if !ok {
		return dst, false
	}
	dst = append(dst, ':')
	switch a.Value.Kind() {
	case slog.KindString:
		return appendPlain(dst, a.Value.String())
	case slog.KindInt64:
		return strconv.AppendInt(dst, a.Value.Int64(), 10), true
	case slog.KindBool:
		return strconv.AppendBool(dst, a.Value.Bool()), true
	case slog.KindTime:
		return append(a.Value.Time().AppendFormat(append(dst, '"'), time.RFC3339Nano), '"'), true
	}
	return dst, false
}

// appendPlain appends text as a JSON string if it needs no escapes.
func appendPlain(dst []byte, text string) ([]byte, bool) {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x80 || c == '"' || c == '\\' {
			return dst, false
		}
	}
	return append(append(append(dst, '"'), text...), '"'), true
}
