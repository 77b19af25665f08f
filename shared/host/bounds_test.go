package host_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/host"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// recorder is a ResponseWriter that a read deadline can be set on.
type recorder struct{ *httptest.ResponseRecorder }

func (recorder) SetReadDeadline(time.Time) error { return nil }

// TestTooManyAtATime: what comes on top of two thousand requests is handed back
// at once, and taken again when there is room.
func TestTooManyAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 2000
		release := make(chan struct{})
		wait := func(context.Context, host.Request) host.Answer {
			<-release
			return host.JSON(http.StatusOK, true)
		}
		var logs logged
		handler := host.New(telemetry.New(&logs), "", time.Now).Wrap("Wait", limits, wait)
		ask := func() recorder {
			w := recorder{httptest.NewRecorder()}
			handler(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x")))
			return w
		}
		var all sync.WaitGroup
		for range most {
			all.Go(func() {
				if w := ask(); w.Code != http.StatusOK {
					t.Errorf("answered %d", w.Code)
				}
			})
		}
		synctest.Wait()
		if w := ask(); w.Code != http.StatusServiceUnavailable || w.Body.String() != `{"error":"too many requests at a time"}` {
			t.Errorf("one more is answered %d %s", w.Code, w.Body)
		}
		if line := logs.String(); !strings.Contains(line, `"severity":"WARNING"`) || !strings.Contains(line, `"status":503`) {
			t.Errorf("the log has %q", line)
		}
		close(release)
		all.Wait()
		if w := ask(); w.Code != http.StatusOK {
			t.Errorf("answered %d when there is room again", w.Code)
		}
	})
}
