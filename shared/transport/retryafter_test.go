package transport_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/transport"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const now = "Fri, 02 Jan 2026 03:04:05 GMT"
	tests := []struct {
		name, value, date string
		want              time.Duration
	}{
		{"absent", "", now, 0},
		{"seconds", "7", now, 7 * time.Second},
		{"zero", "0", now, 0},
		{"negative", "-3", now, 0},
		{"too many", "99999999999999999999", now, 0},
		{"date", "Fri, 02 Jan 2026 03:05:05 GMT", now, time.Minute},
		{"date passed", "Fri, 02 Jan 2026 03:03:05 GMT", now, 0},
		{"date without a Date", "Fri, 02 Jan 2026 03:05:05 GMT", "", 0},
		{"nonsense", "soon", now, 0},
	}
	for _, test := range tests {
		h := http.Header{}
		h.Set("Retry-After", test.value)
		h.Set("Date", test.date)
		if got := transport.RetryAfter(h); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
