package googleapi

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// answers is a transport that gives one answer after the other, and then panics.
type answers []*http.Response

func (a *answers) RoundTrip(*http.Request) (*http.Response, error) {
	first := (*a)[0]
	*a = (*a)[1:]
	return first, nil
}

func answer(status int, retryAfter string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Retry-After": {retryAfter}}, Body: io.NopCloser(strings.NewReader(`{"name":"n"}`)),
	}
}

// TestRetry: a call that is throttled or unavailable is retried once, after the pause that
// the answer names.
func TestRetry(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		answers answers
		took    time.Duration
		status  int // of the error, 0 for none
	}{
		{"throttled", answers{answer(429, "7"), answer(200, "")}, 7 * time.Second, 0},
		{"unavailable", answers{answer(503, ""), answer(200, "")}, time.Second, 0},
		{"unavailable twice", answers{answer(503, ""), answer(503, "")}, time.Second, 503},
		{"refused", answers{answer(403, "7")}, 0, 403},
		{"a long pause", answers{answer(429, "60")}, 0, 429},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var out struct{ Name string }
				err := (&Client{http: &http.Client{Transport: &test.answers}}).Get(t.Context(), "run", "v2/x", nil, &out)
				if took := time.Since(began); took != test.took || len(test.answers) > 0 {
					t.Errorf("it took %v, want %v; %d answers are left", took, test.took, len(test.answers))
				}
				if test.status == 0 && (err != nil || out.Name != "n") || test.status != 0 && !IsStatus(err, test.status) {
					t.Errorf("Get() = %q, %v, want status %d", out.Name, err, test.status)
				}
			})
		})
	}
}
