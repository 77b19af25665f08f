package telemetry

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// handler writes lines of plain fields, which is nearly all, by itself: slog's
// own handler calls a function for each field of each line to have two of them
// renamed. It writes the others, and what both write is the same.
type handler struct {
	slog.Handler
	out *lines
}

func newHandler(w io.Writer) slog.Handler {
	out := &lines{w: w}
	return handler{slog.NewJSONHandler(out, &slog.HandlerOptions{ReplaceAttr: rename}), out}
}

// lines keeps lines apart that are written at once.
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
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	line, ok := appendLine((*buffer)[:0], r)
	*buffer = line
	if !ok {
		return h.Handler.Handle(ctx, r)
	}
	_, err := h.out.Write(line)
	return err
}

// appendLine appends a line to dst. ok is false if that takes more than is known
// here; what was appended means nothing then.
func appendLine(dst []byte, r slog.Record) (line []byte, ok bool) {
	dst = append(r.Time.AppendFormat(append(dst, `{"time":"`...), time.RFC3339Nano), `","severity":"`...)
	switch r.Level {
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
	dst, ok = appendPlain(dst, r.Message)
	ok = ok && !r.Time.IsZero()
	r.Attrs(func(a slog.Attr) bool {
		if ok {
			dst, ok = appendField(dst, a)
		}
		return ok
	})
	return append(dst, "}\n"...), ok
}

func appendField(dst []byte, a slog.Attr) ([]byte, bool) {
	switch a.Key {
	case slog.LevelKey, slog.MessageKey: // rename would not let them be
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

// appendPlain appends text as a JSON string if it has nothing that must be
// written in another way.
func appendPlain(dst []byte, text string) ([]byte, bool) {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x80 || c == '"' || c == '\\' {
			return dst, false
		}
	}
	return append(append(append(dst, '"'), text...), '"'), true
}
