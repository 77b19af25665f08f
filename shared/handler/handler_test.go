package handler_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/handler"
	"github.com/gatepostdev/gatepost/shared/logging"
)

var limits = handler.Limits{Body: 16, Time: 2 * time.Second}

// logged collects log lines; handlers and tests use it concurrently.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func quiet() *handler.Group { return handler.New(slog.New(slog.DiscardHandler), "", time.Now) }

func echo(_ context.Context, r handler.Request) handler.Answer {
	return handler.JSON(http.StatusOK, map[string]string{"got": string(r.Body)})
}

func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, method, body string
		handle             handler.Func
		status             int
		answer             string
		logs               []string
	}{
		{"good", "POST", "hello", echo, 200, `{"got":"hello"}`, []string{
			`"severity":"INFO"`, `"message":"Echo"`, `"status":200`, `"duration_ms":`, `"function":"Echo"`,
			`"logging.googleapis.com/trace":"projects/p/traces/0af7651916cd43dd8448eb211c80319c"`,
		}},
		{"largest", "POST", strings.Repeat("x", 16), echo, 200, `{"got":"xxxxxxxxxxxxxxxx"}`, nil},
		{"too large", "POST", strings.Repeat("x", 17), echo, 413, `{"error":"body too large"}`, []string{`"severity":"WARNING"`, `"status":413`}},
		{"GET", "GET", "", echo, 405, `{"error":"POST only"}`, []string{`"status":405`}},
		{"panic", "POST", "x", func(context.Context, handler.Request) handler.Answer { panic("canary") },
			500, `{"error":"internal error"}`, []string{`"severity":"ERROR"`, "canary", "handler_test.go"}},
		{"deadline", "POST", "x", func(ctx context.Context, _ handler.Request) handler.Answer {
			deadline, ok := ctx.Deadline()
			return handler.JSON(http.StatusOK, ok && time.Until(deadline) <= limits.Time)
		}, 200, `true`, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var logs logged
			h := handler.New(logging.New(&logs), "p", time.Now)
			server := httptest.NewServer(h.Wrap("Echo", limits, test.handle))
			defer server.Close()
			req, err := http.NewRequest(test.method, server.URL, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != test.status || string(body) != test.answer {
				t.Errorf("answer = %d %s, want %d %s", resp.StatusCode, body, test.status, test.answer)
			}
			if n := strings.Count(logs.String(), "\n"); n != 1 {
				t.Errorf("log lines = %d, want 1: %s", n, logs.String())
			}
			for _, want := range test.logs {
				if !strings.Contains(logs.String(), want) {
					t.Errorf("no %s in %s", want, logs.String())
				}
			}
		})
	}
}

// connect serves h on an in-memory connection, which works in a bubble.
func connect(t *testing.T, h http.Handler) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	conns := make(chan net.Conn, 1)
	conns <- server
	srv := &http.Server{Handler: h}
	go func() { _ = srv.Serve(pipeListener{conns}) }()
	t.Cleanup(func() {
		client.Close()
		srv.Close()
	})
	return client
}

type pipeListener struct{ conns chan net.Conn }

func (l pipeListener) Accept() (net.Conn, error) {
	conn, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}
func (l pipeListener) Close() error   { close(l.conns); return nil }
func (l pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func TestSlowBodyTimesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := quiet()
		conn := connect(t, h.Wrap("Echo", limits, echo))
		started := time.Now()
		if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusBadRequest || time.Since(started) != 10*time.Second {
			t.Errorf("status = %d after %v", resp.StatusCode, time.Since(started))
		}
	})
}

// request sends one request and returns its status, 0 for a broken connection.
func request(t *testing.T, h http.Handler) <-chan int {
	t.Helper()
	conn := connect(t, h)
	status := make(chan int, 1)
	go func() {
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			status <- 0
			return
		}
		status <- resp.StatusCode
	}()
	return status
}

func TestBodyDeadlineEndsWithTheBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		work := quiet().Wrap("Slow", handler.Limits{Body: 16, Time: time.Minute}, func(ctx context.Context, _ handler.Request) handler.Answer {
			select {
			case <-ctx.Done():
				return handler.Fail(http.StatusServiceUnavailable, context.Cause(ctx).Error())
			case <-time.After(30 * time.Second):
				return handler.JSON(http.StatusOK, "done")
			}
		})
		if status := <-request(t, work); status != http.StatusOK {
			t.Errorf("status = %d, want the work's end", status)
		}
	})
}

func TestDrain(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		work   time.Duration
		stuck  bool // ignores its context
		status int
		after  time.Duration
		code   int
	}{
		{"idle", 0, false, 0, 0, 0},
		{"finishes", 3 * time.Second, false, 200, 3 * time.Second, 0},
		{"hands back", time.Hour, false, 503, 7 * time.Second, 0},
		{"stuck", time.Hour, true, 0, 8 * time.Second, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := quiet()
				stop, drained, lefts := make(chan struct{}), make(chan struct{}), make(chan time.Duration, 1)
				defer close(stop)
				work := h.Wrap("Work", handler.Limits{Body: 16, Time: 2 * time.Hour}, func(ctx context.Context, _ handler.Request) handler.Answer {
					if test.stuck {
						<-stop
					}
					go func() {
						<-drained
						deadline, _ := ctx.Deadline()
						lefts <- time.Until(deadline)
					}()
					select {
					case <-time.After(test.work):
						return handler.JSON(http.StatusOK, "done")
					case <-ctx.Done():
						return handler.Fail(http.StatusServiceUnavailable, "handed back")
					}
				})
				var inFlight <-chan int
				if test.work > 0 {
					inFlight = request(t, work)
				}
				synctest.Wait()

				signals, exited := make(chan os.Signal, 1), make(chan int, 1)
				go h.DrainOn(signals, func(code int) { exited <- code })
				started := time.Now()
				signals <- syscall.SIGTERM
				synctest.Wait()
				close(drained)
				if test.work > 0 {
					if got := <-request(t, work); got != http.StatusServiceUnavailable {
						t.Errorf("status during the drain = %d, want 503", got)
					}
				}
				if test.work > 0 && !test.stuck {
					if left := <-lefts; left != 7*time.Second {
						t.Errorf("time left for the work = %v, want 7s", left)
					}
				}
				if code := <-exited; code != test.code {
					t.Errorf("exit status = %d, want %d", code, test.code)
				}
				if after := time.Since(started); after != test.after {
					t.Errorf("ended after %v, want %v", after, test.after)
				}
				if test.status != 0 {
					if got := <-inFlight; got != test.status {
						t.Errorf("status of the request in flight = %d, want %d", got, test.status)
					}
				}
			})
		})
	}
}

// TestFirstAndLast: First runs before each request, and Last after the drain.
func TestFirstAndLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := quiet()
		var done []string
		h.First(func(context.Context) { done = append(done, "first") })
		h.Last(func(ctx context.Context) {
			if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) < time.Second {
				t.Errorf("time left for Last = %v, want a second or more", time.Until(deadline))
			}
			done = append(done, "last")
		})
		work := h.Wrap("Work", handler.Limits{Body: 16, Time: time.Hour}, func(context.Context, handler.Request) handler.Answer {
			done = append(done, "request")
			return handler.JSON(http.StatusOK, "done")
		})
		for range 2 {
			<-request(t, work)
		}
		h.Drain()
		if want := []string{"first", "request", "first", "request", "last"}; !slices.Equal(done, want) {
			t.Errorf("calls = %v, want %v", done, want)
		}
	})
}

func TestJSON(t *testing.T) {
	t.Parallel()
	got := handler.Fail(400, `a "quoted" text`)
	var body map[string]string
	if err := json.Unmarshal(got.Body, &body); err != nil || body["error"] != `a "quoted" text` || got.Status != 400 {
		t.Errorf("Fail() = %d %s: %v", got.Status, got.Body, err)
	}
}

// recorder is a ResponseWriter with a read deadline.
type recorder struct{ *httptest.ResponseRecorder }

func (recorder) SetReadDeadline(time.Time) error { return nil }

// TestTooManyRequests: a request beyond two thousand is handed back at once, and
// accepted again when others have ended.
func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 2000
		release := make(chan struct{})
		wait := func(context.Context, handler.Request) handler.Answer {
			<-release
			return handler.JSON(http.StatusOK, true)
		}
		var logs logged
		handler := handler.New(logging.New(&logs), "", time.Now).Wrap("Wait", limits, wait)
		ask := func() recorder {
			w := recorder{httptest.NewRecorder()}
			handler(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x")))
			return w
		}
		var all sync.WaitGroup
		for range most {
			all.Go(func() {
				if w := ask(); w.Code != http.StatusOK {
					t.Errorf("status = %d, want 200", w.Code)
				}
			})
		}
		synctest.Wait()
		if w := ask(); w.Code != http.StatusServiceUnavailable || w.Body.String() != `{"error":"too many requests at a time"}` {
			t.Errorf("answer to one more = %d %s, want 503", w.Code, w.Body)
		}
		if line := logs.String(); !strings.Contains(line, `"severity":"WARNING"`) || !strings.Contains(line, `"status":503`) {
			t.Errorf("log = %q, want a warning", line)
		}
		close(release)
		all.Wait()
		if w := ask(); w.Code != http.StatusOK {
			t.Errorf("status after the others = %d, want 200", w.Code)
		}
	})
}
