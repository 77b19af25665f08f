package oneprocess

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/push"
)

// Line is a record of the functions' log.
type Line struct {
	Time    time.Time
	Level   slog.Level
	Message string                // the name of the function, for its requests
	Fields  map[string]slog.Value // by the names in functions/CONTRACTS.md
	Pushed  *push.Message         // that the request delivered, nil if it delivered none
	// Backoff is when Pub/Sub redelivers a device event, if the line is not final. It is
	// 0 for an event that did not come from Pub/Sub.
	Backoff time.Duration
}

// Text returns a field as text, empty without the field.
func (l Line) Text(field string) string {
	value, ok := l.Fields[field]
	if !ok {
		return ""
	}
	return value.String()
}

// Int returns a whole number, zero without the field.
func (l Line) Int(field string) int {
	if value := l.Fields[field]; value.Kind() == slog.KindInt64 {
		return int(value.Int64())
	}
	return 0
}

// Final reports whether the line is of a device event that is not redelivered.
func (l Line) Final() bool {
	return l.Pushed != nil && l.Message == "SendEvent" && l.Int(logging.Status) == http.StatusOK
}

// JSON returns the line as the functions write it, its fields in alphabetical order.
func (l Line) JSON() []byte {
	record := slog.NewRecord(l.Time, l.Level, l.Message, 0)
	for _, name := range slices.Sorted(maps.Keys(l.Fields)) {
		record.AddAttrs(slog.Attr{Key: name, Value: l.Fields[name]})
	}
	var text bytes.Buffer
	_ = logging.New(&text).Handler().Handle(context.Background(), record) // a buffer takes all
	return bytes.TrimSpace(text.Bytes())
}

// Delivery is the outcome of a device event for one grant.
type Delivery struct{ GrantID, Region, Outcome, Code, Reason string }

// Deliveries returns the outcome for each grant, or the one outcome of an event without
// a grant.
func (l Line) Deliveries() []Delivery {
	if list, ok := l.Fields[logging.Deliveries]; ok {
		var all []Delivery
		for _, fields := range list.Any().([]map[string]any) {
			text := func(name string) string { s, _ := fields[name].(string); return s }
			all = append(all, deliveryOf(text))
		}
		return all
	}
	if l.Text(logging.Outcome) == "" {
		return nil
	}
	return []Delivery{deliveryOf(l.Text)}
}

func deliveryOf(text func(name string) string) Delivery {
	d := Delivery{
		text(logging.GrantID), text(logging.Region), text(logging.Outcome), text(logging.Code), text(logging.Error),
	}
	switch delivery.OutcomeName(d.Outcome) {
	case delivery.NoGrant, delivery.Elsewhere:
		d.Reason = text(logging.Reason)
	}
	return d
}

// observer is a log handler that gives each record to add, and to another handler.
type observer struct {
	slog.Handler
	attrs []slog.Attr
	add   func(Line)
}

// Enabled implements [slog.Handler]. It is true even if the other handler discards the
// record.
func (o observer) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements [slog.Handler].
func (o observer) WithAttrs(attrs []slog.Attr) slog.Handler {
	return observer{o.Handler.WithAttrs(attrs), append(o.attrs[:len(o.attrs):len(o.attrs)], attrs...), o.add}
}

// Handle implements [slog.Handler].
func (o observer) Handle(ctx context.Context, r slog.Record) error {
	l := Line{Time: r.Time, Level: r.Level, Message: r.Message, Fields: make(map[string]slog.Value)}
	note := func(a slog.Attr) bool { l.Fields[a.Key] = a.Value; return true }
	for _, a := range o.attrs {
		note(a)
	}
	r.Attrs(note)
	l.Pushed, _ = ctx.Value(pushedKey{}).(*push.Message)
	o.add(l)
	if !o.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return o.Handler.Handle(ctx, r)
}

type pushedKey struct{}

// maxBody is how much of a request is read in advance: more than any function takes.
const maxBody = 16 << 20

// notePushed puts the Pub/Sub message that a request delivers into the request's
// context, where the log handler finds it.
func notePushed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, maxBody)) // the function gets the same error
		if m, err := push.Decode(body); err == nil {
			r = r.WithContext(context.WithValue(r.Context(), pushedKey{}, &m))
		}
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
		next.ServeHTTP(w, r)
	})
}
