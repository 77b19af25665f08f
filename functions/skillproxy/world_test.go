package main

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/testkit/federationtest"
)

// Messages of each kind, with canaries that must never be logged.
const (
	turnOn = `{"directive":{"header":{"namespace":"Alexa.PowerController","name":"TurnOn","payloadVersion":"3",` +
		`"messageId":"m-1","correlationToken":"c-canary=="},"endpoint":{` +
		`"scope":{"type":"BearerToken","token":"fake-canary"},"endpointId":"lamp-1","cookie":{"k":"canary"}},"payload":{}}}`
	discover = `{"directive":{"header":{"namespace":"Alexa.Discovery","name":"Discover","payloadVersion":"3","messageId":"m-1"},` +
		`"payload":{"scope":{"type":"BearerToken","token":"fake-canary"}}}}`
	accept = `{"directive":{"header":{"namespace":"Alexa.Authorization","name":"AcceptGrant","payloadVersion":"3","messageId":"m-1"},` +
		`"payload":{"grant":{"type":"OAuth2.AuthorizationCode","code":"RHfake-canary"},"grantee":{"type":"BearerToken","token":"fake-canary"}}}}`
	disabled = `{"version":"1.0","context":{"System":{"user":{"userId":"canary"}}},` +
		`"request":{"type":"AlexaSkillEvent.SkillDisabled","requestId":"canary"}}`
)

// done is a valid answer.
const done = `{"event":{"header":{"namespace":"Alexa","name":"Response","messageId":"canary","payloadVersion":"3"},"payload":{}}}`

// backend is one of the handlers behind the proxy.
type backend struct {
	mu       sync.Mutex
	handlers []http.HandlerFunc // for the next requests; then done
	requests []request
}

type request struct {
	header http.Header
	body   string
}

// then sets the handlers of the next requests.
func (b *backend) then(handlers ...http.HandlerFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.handlers = append(b.handlers, handlers...)
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	b.requests = append(b.requests, request{r.Header.Clone(), string(body)})
	handle := answering(http.StatusOK, done)
	if len(b.handlers) > 0 {
		handle, b.handlers = b.handlers[0], b.handlers[1:]
	}
	b.mu.Unlock()
	handle(w, r)
}

// got returns the requests so far.
func (b *backend) got() []request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.requests
}

// tokens returns the Authorization headers of the requests.
func (b *backend) tokens() (tokens []string) {
	for _, r := range b.got() {
		tokens = append(tokens, r.header.Get("Authorization"))
	}
	return tokens
}

func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// hang answers when the client is gone.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // otherwise the server would not notice
	<-r.Context().Done()
}

// abort closes the connection without an answer.
func abort(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// cloud is one server with the proxy's backends and Google's services.
type cloud struct {
	url                                string
	google                             *federationtest.Google
	acceptGrant, skillEvent, directive backend
}

// newCloud returns a cloud that listens on this machine.
func newCloud(t *testing.T) *cloud {
	t.Helper()
	w := &cloud{google: federationtest.New(time.Now)}
	server := httptest.NewServer(w)
	t.Cleanup(func() {
		server.CloseClientConnections() // some requests hang
		server.Close()
	})
	w.url = server.URL
	return w
}

// memoryURL is the URL of a cloud without a network.
const memoryURL = "https://cloud.test"

func newMemoryCloud() *cloud { return &cloud{url: memoryURL, google: federationtest.New(time.Now)} }

func (w *cloud) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/acceptgrant":
		w.acceptGrant.ServeHTTP(rw, r)
	case "/skillevent":
		w.skillEvent.ServeHTTP(rw, r)
	case "/directive":
		w.directive.ServeHTTP(rw, r)
	default:
		w.google.ServeHTTP(rw, r)
	}
}

// RoundTrip implements [http.RoundTripper] for a cloud without a network.
func (w *cloud) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	defer func() {
		if gaveUp := recover(); gaveUp == http.ErrAbortHandler {
			err = io.ErrUnexpectedEOF
		} else if gaveUp != nil {
			panic(gaveUp)
		}
	}()
	recorder := httptest.NewRecorder()
	w.ServeHTTP(recorder, r)
	if r.Context().Err() != nil {
		return nil, r.Context().Err()
	}
	return recorder.Result(), nil
}

// to returns the backend of a message.
func (w *cloud) to(message string) *backend {
	switch message {
	case accept:
		return &w.acceptGrant
	case disabled:
		return &w.skillEvent
	default:
		return &w.directive
	}
}

// env is a proxy's environment. A change to "" unsets a variable.
func (w *cloud) env(changes map[string]string) map[string]string {
	env := federationtest.Role()
	maps.Copy(env, map[string]string{
		"AWS_REGION":                 federationtest.AWSRegion,
		"ACCEPT_GRANT_URL":           w.url + "/acceptgrant",
		"SKILL_EVENT_URL":            w.url + "/skillevent",
		"DIRECTIVE_URL":              w.url + "/directive",
		"GOOGLE_WORKLOAD_PROVIDER":   federationtest.Provider,
		"GOOGLE_SERVICE_ACCOUNT":     federationtest.ServiceAccount,
		"GOOGLE_STS_URL":             w.url + "/v1/token",
		"GOOGLE_IAM_CREDENTIALS_URL": w.url,
	})
	maps.Copy(env, changes)
	return env
}

// wantRoundTrips checks the number of calls to Google so far.
func (w *cloud) wantRoundTrips(t *testing.T, want int) {
	t.Helper()
	if got := w.google.Calls(); len(got) != want {
		t.Errorf("calls to Google = %v, want %d", got, want)
	}
	for _, problem := range w.google.Problems() {
		t.Error("Google says: " + problem)
	}
}

// wantSuccess invokes a function and expects done.
func wantSuccess(t *testing.T, l *instance, message string) {
	t.Helper()
	if got := l.invoke(t, message, time.Minute); got.failed || string(got.body) != done {
		t.Fatalf("answer = %s, want the backend's; output: %s", got.body, l.output())
	}
}

// errorResponse returns the proxy's own answer to a message.
func errorResponse(message, typ string) string {
	header, endpoint := `"namespace":"Alexa","name":"ErrorResponse","messageId":"ID"`, ""
	switch message {
	case accept:
		header = strings.Replace(header, "Alexa", "Alexa.Authorization", 1)
		return `{"event":{"header":{` + header + `,"payloadVersion":"3"},` +
			`"payload":{"type":"ACCEPT_GRANT_FAILED","message":"the grant could not be accepted"}}}`
	case turnOn:
		header += `,"correlationToken":"c-canary=="`
		endpoint = `"endpoint":{"endpointId":"lamp-1"},`
	}
	return fmt.Sprintf(`{"event":{"header":{%s,"payloadVersion":"3"},%s"payload":{"type":%q,"message":"WHY"}}}`, header, endpoint, typ)
}

var (
	anyID  = regexp.MustCompile(`"messageId": ?"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"`)
	anyWhy = regexp.MustCompile(`"message":"the (device cloud|skill)[^"]*"`)
)

// wantError checks that an answer is the proxy's own.
func wantError(t *testing.T, got result, message, typ string) {
	t.Helper()
	text := anyWhy.ReplaceAllString(anyID.ReplaceAllString(string(got.body), `"messageId":"ID"`), `"message":"WHY"`)
	if diff := cmp.Diff(errorResponse(message, typ), text); got.failed || diff != "" {
		t.Errorf("failed = %v, answer differs (-want +got):\n%s", got.failed, diff)
	}
}

// hijack writes raw bytes instead of an answer, and closes the connection, with a
// TCP reset if asked to.
func hijack(text string, reset bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // closing with unread data would be a reset
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, text)
		if reset {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}
		_ = conn.Close()
	}
}

// half sends the first half of a valid answer, and then nothing.
func half(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, done[:20])
	_ = http.NewResponseController(w).Flush()
	hang(w, r)
}
