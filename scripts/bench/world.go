package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// worldName is the command that this program starts itself with for the world: the
// servers that a sender or a sweep calls, and the load generator, in a separate process.
const worldName = "world"

const region = alexa.EU

// world is a client of that process.
type world struct {
	*server
	settings
}

// settings have the addresses of the world for other processes.
type settings struct {
	Gateway     string // base URL of the event gateway
	TokenURL    string // of Login with Amazon
	UserInfoURL string // of the maker's identity provider
	Env         map[string]string
}

// startWorld starts the world, on another processor than the sender.
func startWorld(ctx context.Context, p pins, dir string) (*world, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s, err := serve(ctx, dir, nil, p.on(p.rest, []string{program, worldName})...)
	if err != nil {
		return nil, err
	}
	w := &world{server: s}
	if w.settings, err = call[settings](ctx, w.URL()+"/settings", nil); err != nil {
		s.Kill()
	}
	return w, err
}

// codes returns the codes for AcceptGrant of customers first to first+n-1.
func (w *world) codes(ctx context.Context, first, n int) ([]string, error) {
	return call[[]string](ctx, w.URL()+"/codes", customers{first, n})
}

// tokens returns access and refresh tokens of the first n customers.
func (w *world) tokens(ctx context.Context, n int) ([]tokens, error) {
	return call[[]tokens](ctx, w.URL()+"/tokens", customers{0, n})
}

// delayRefreshes sets the latency of Login with Amazon's refreshes.
func (w *world) delayRefreshes(ctx context.Context, d time.Duration) error {
	_, err := call[any](ctx, w.URL()+"/delay", d)
	return err
}

// push has the load generator do a job.
func (w *world) push(ctx context.Context, j job) (load, error) {
	return call[load](ctx, w.URL()+"/push", j)
}

type customers struct{ First, N int }

type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// caller is the client of the world, and of functions with few requests.
var caller = transport.NewClient(16)

// call posts JSON and decodes the answer, which must have status 200.
func call[Answer any](ctx context.Context, url string, question any) (answer Answer, err error) {
	body, err := json.Marshal(question)
	if err != nil {
		return answer, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return answer, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := caller.Do(request)
	if err != nil {
		return answer, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %d %.500s", url, response.StatusCode, text)
	}
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	return answer, err
}

// answer serves a request of call.
func answer[Question, Answer any](do func(context.Context, Question) (Answer, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q Question
		err := json.NewDecoder(r.Body).Decode(&q)
		var a Answer
		if err == nil {
			a, err = do(r.Context(), q)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(a)
	}
}

// serveWorld serves the world in its own process.
func serveWorld() error {
	sim := simulator.New(simulator.Options{KeepRequests: -1, KeepRefreshToken: true}) // one token is refreshed again and again
	amazon, err := simulator.Start(sim)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	g := &gateway{judge: sim.GatewayHandler(region)}
	go g.serve(listener)
	at := settings{"http://" + listener.Addr().String(), amazon.LWATokenURL, amazon.UserInfoURL, amazon.Env()}
	at.Env["EVENT_GATEWAY_"+string(region)] = at.Gateway
	mux := http.NewServeMux()
	mux.Handle("/settings", answer(func(context.Context, any) (settings, error) { return at, nil }))
	mux.Handle("/delay", answer(func(_ context.Context, d time.Duration) (any, error) {
		sim.Clear()
		sim.Always(simulator.Refresh, simulator.Fault{Delay: d})
		return nil, nil
	}))
	mux.Handle("/codes", answer(func(_ context.Context, c customers) (list []string, err error) {
		for i := c.First; i < c.First+c.N; i++ {
			list = append(list, code(sim, i))
		}
		return list, nil
	}))
	mux.Handle("/tokens", answer(func(_ context.Context, c customers) (list []tokens, err error) {
		for i := c.First; i < c.First+c.N; i++ {
			t, wrong := exchange(sim, i)
			list, err = append(list, t), errors.Join(err, wrong)
		}
		return list, err
	}))
	mux.Handle("/push", answer(g.push))
	return http.ListenAndServe(net.JoinHostPort("127.0.0.1", os.Getenv("PORT")), mux)
}

func code(sim *simulator.Simulator, i int) string {
	return sim.Code(region, fmt.Sprint("amzn-", i)).Reveal()
}

const formType = "application/x-www-form-urlencoded"

// clientForm has the fields of every request of the simulator's client.
func clientForm(grantType string) url.Values {
	client := simulator.DefaultClient()
	return url.Values{"grant_type": {grantType}, "client_id": {client.ID}, "client_secret": {client.Secret.Reveal()}}
}

// exchange has the simulator issue tokens of customer i.
func exchange(sim *simulator.Simulator, i int) (t tokens, err error) {
	form := clientForm("authorization_code")
	form.Set("code", code(sim, i))
	request := httptest.NewRequest(http.MethodPost, "/auth/o2/token", strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", formType)
	recorder := httptest.NewRecorder()
	sim.ServeHTTP(recorder, request)
	if err := json.Unmarshal(recorder.Body.Bytes(), &t); err != nil || t.Refresh == "" {
		return t, fmt.Errorf("the simulator answered an exchange with status %d", recorder.Code)
	}
	return t, nil
}

// gateway is an event gateway with the least possible CPU, since it shares a processor
// with the load generator. It works on the connection itself: the server of net/http
// takes twice as long.
type gateway struct {
	judge          http.Handler // the simulator's
	strict         atomic.Bool
	delay          atomic.Int64
	taken, refused atomic.Int64
}

// push does a job and returns the result.
func (g *gateway) push(ctx context.Context, j job) (load, error) {
	g.strict.Store(j.Strict)
	g.delay.Store(int64(j.Delay))
	g.taken.Store(0)
	g.refused.Store(0)
	l, err := j.do(ctx)
	l.Taken, l.Refused = g.taken.Load(), g.refused.Load()
	return l, err
}

func (g *gateway) serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = conn.Close() }()
			_ = g.converse(conn) // the client is gone
		}()
	}
}

// The gateway's answers. Amazon's have a request id and no body.
const (
	accepted    = "HTTP/1.1 202 Accepted\r\nx-amzn-RequestId: 00000000-0000-4000-8000-000000000000\r\nContent-Length: 0\r\n\r\n"
	notAccepted = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
)

// converse answers the requests of one connection.
func (g *gateway) converse(conn net.Conn) error {
	reader := bufio.NewReader(conn)
	var body bytes.Buffer
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return err
		}
		body.Reset()
		if _, err := body.ReadFrom(request.Body); err != nil {
			return err
		}
		time.Sleep(time.Duration(g.delay.Load()))
		answer, count := accepted, &g.taken
		if !g.takes(request, body.Bytes()) {
			answer, count = notAccepted, &g.refused
		}
		count.Add(1)
		if _, err := io.WriteString(conn, answer); err != nil {
			return err
		}
	}
}

// takes reports whether the gateway accepts an event.
func (g *gateway) takes(request *http.Request, body []byte) bool {
	if g.strict.Load() {
		request.Body = io.NopCloser(bytes.NewReader(body))
		judgement := httptest.NewRecorder()
		g.judge.ServeHTTP(judgement, request)
		return judgement.Code == http.StatusAccepted
	}
	token, bearer := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer ")
	return bearer && request.Method == http.MethodPost && request.URL.Path == "/v3/events" && bytes.Contains(body, []byte(token))
}
