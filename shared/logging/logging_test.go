package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"

	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

func TestOneWideLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	ctx, line := logging.Begin(context.Background(), slog.String(logging.Function, "SendEvent"))
	logging.Add(ctx, slog.String(logging.EventID, "e-1"), slog.Any("token", sensitive.New("canary")))
	logging.Raise(ctx, slog.LevelWarn)
	logging.Raise(ctx, slog.LevelInfo)
	line.Write(ctx, logging.New(&out), "delivered", slog.Int(logging.Status, 200))
	logging.Add(context.Background(), slog.Int("nowhere", 1))

	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, out.Bytes())
	}
	if got["time"] == nil {
		t.Error("the line has no time")
	}
	delete(got, "time")
	want := map[string]any{
		"severity": "WARNING", "message": "delivered", "function": "SendEvent",
		"event_id": "e-1", "token": "[redacted]", "status": 200.0,
	}
	expect.Equal(t, "line", want, got)
}

func TestLineTakesFieldsFromManyGoroutines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	ctx, line := logging.Begin(context.Background())
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			logging.Add(ctx, slog.Int(fmt.Sprint("n", i), 1), slog.Int("same", i))
			logging.Raise(ctx, slog.LevelError)
		})
	}
	wg.Wait()
	line.Write(ctx, logging.New(&out), "m")
	count := func(part string) int { return bytes.Count(out.Bytes(), []byte(part)) }
	if n := count(`":1`); n < 50 || count(`"same"`) != 1 || count(`"severity":"ERROR"`) != 1 {
		t.Errorf("fields = %d in %s", n, out.Bytes())
	}
}

func TestTrace(t *testing.T) {
	t.Parallel()
	const id = "0af7651916cd43dd8448eb211c80319c"
	tests := []struct{ name, header, value, want string }{
		{"W3C", "traceparent", "00-" + id + "-b7ad6b7169203331-01", "projects/p/traces/" + id},
		{"Google", "X-Cloud-Trace-Context", id + "/1;o=1", "projects/p/traces/" + id},
		{"none", "X", "y", ""},
		{"zero", "traceparent", "00-00000000000000000000000000000000-b7ad6b7169203331-01", ""},
		{"nonsense", "X-Cloud-Trace-Context", "../../etc", ""},
	}
	for _, test := range tests {
		h := http.Header{}
		h.Set(test.header, test.value)
		if got := logging.Trace(h, "p").Value.String(); got != test.want && !(test.want == "" && logging.Trace(h, "p").Equal(slog.Attr{})) {
			t.Errorf("%s: trace = %s, want %s", test.name, got, test.want)
		}
	}
}
