package logging

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"
)

// TestHandlersAgree: both handlers write the same lines.
func TestHandlersAgree(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
	tests := []struct {
		name  string
		time  time.Time
		level slog.Level
		text  string
		attrs []slog.Attr
		plain bool
	}{
		{"plain", at, slog.LevelInfo, "SendEvent", []slog.Attr{
			slog.String("a", "b"), slog.Int64("n", -5), slog.Int("m", 1<<40), slog.Bool("t", true), slog.Bool("f", false),
		}, true},
		{"times", at, slog.LevelInfo, "x", []slog.Attr{slog.Time("a", at), slog.Time("b", at.In(time.FixedZone("", 3600)))}, true},
		{"no fields", at, slog.LevelWarn, "", nil, true},
		{"error", at.Local(), slog.LevelError, "x", []slog.Attr{slog.String("", "")}, true},
		{"what HTML minds", at, slog.LevelInfo, "<>&'", []slog.Attr{slog.String("a", "<>&\x7f")}, true},
		{"time with a zone", at.In(time.FixedZone("", 3600)), slog.LevelInfo, "x", nil, true},
		{"another level", at, slog.LevelDebug, "x", nil, false},
		{"between levels", at, slog.LevelInfo + 1, "x", nil, false},
		{"no time", time.Time{}, slog.LevelInfo, "x", nil, false},
		{"message with a quote", at, slog.LevelInfo, `"`, nil, false},
		{"backslash", at, slog.LevelInfo, "x", []slog.Attr{slog.String("a", `\`)}, false},
		{"line break", at, slog.LevelInfo, "x", []slog.Attr{slog.String("a", "\n")}, false},
		{"umlaut", at, slog.LevelInfo, "x", []slog.Attr{slog.String("a", "ü")}, false},
		{"not UTF-8", at, slog.LevelInfo, "x", []slog.Attr{slog.String("a", "\xff")}, false},
		{"name with a quote", at, slog.LevelInfo, "x", []slog.Attr{slog.String(`"`, "b")}, false},
		{"names that are renamed", at, slog.LevelInfo, "x", []slog.Attr{slog.String("msg", "b"), slog.String("level", "c")}, false},
		{"nothing", at, slog.LevelInfo, "x", []slog.Attr{{}}, false},
		{"error value", at, slog.LevelInfo, "x", []slog.Attr{slog.Any("e", errors.New("why"))}, false},
		{"list", at, slog.LevelInfo, "x", []slog.Attr{slog.Any("l", []string{"a", "b"})}, false},
		{"group", at, slog.LevelInfo, "x", []slog.Attr{slog.Group("g", slog.Int("a", 1))}, false},
		{"float", at, slog.LevelInfo, "x", []slog.Attr{slog.Float64("f", 0.5)}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			record := slog.NewRecord(test.time, test.level, test.text, 0)
			record.AddAttrs(test.attrs...)
			if _, plain := appendLine(nil, test.time, test.level, test.text, test.attrs); plain != test.plain {
				t.Errorf("plain = %v, want %v", plain, test.plain)
			}
			var want, got bytes.Buffer
			if err := slog.NewJSONHandler(&want, &slog.HandlerOptions{ReplaceAttr: rename}).Handle(context.Background(), record); err != nil {
				t.Fatal(err)
			}
			if err := newHandler(&got).Handle(context.Background(), record); err != nil {
				t.Fatal(err)
			}
			if got.String() != want.String() {
				t.Errorf("got  %swant %s", &got, &want)
			}
		})
	}
}

// TestDerivedLoggers: attributes of a derived logger are in its lines.
func TestDerivedLoggers(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	New(&out).With("a", "b").WithGroup("g").Info("x", "c", 1)
	if !bytes.Contains(out.Bytes(), []byte(`"message":"x","a":"b","g":{"c":1}}`)) {
		t.Errorf("line = %s", &out)
	}
}
