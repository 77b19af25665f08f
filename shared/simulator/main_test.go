package simulator_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// clock is a clock that tests move.
type clock struct{ moved atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(c.moved.Load()))
}

func (c *clock) advance(d time.Duration) { c.moved.Add(int64(d)) }

// rig is a listening simulator and a client of it.
type rig struct {
	*simulator.Simulator
	*simulator.Server
	t     *testing.T
	clock *clock
}

func newRig(t *testing.T, options simulator.Options) *rig {
	t.Helper()
	r := &rig{t: t, clock: new(clock)}
	if options.Now == nil {
		options.Now = r.clock.now
	}
	r.Simulator = simulator.New(options)
	server, err := simulator.Start(r.Simulator)
	if err != nil {
		t.Fatal(err)
	}
	r.Server = server
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return r
}

// reply is a complete answer.
type reply struct {
	status int
	header http.Header
	body   string
	err    error // without an answer, or with a cut one
}

// json decodes the reply's body.
func (r reply) json(t *testing.T) map[string]any {
	t.Helper()
	var decoded map[string]any
	if err := json.Unmarshal([]byte(r.body), &decoded); err != nil {
		t.Fatalf("body %q: %v", r.body, err)
	}
	return decoded
}

func send(request *http.Request) reply {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return reply{err: err}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(body), err}
}

func (r *rig) request(method, url, contentType, body string) *http.Request {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	return request
}

const formType = "application/x-www-form-urlencoded;charset=UTF-8"

// form returns a token request's form, with the default client's credentials.
func form(pairs ...string) url.Values {
	client := simulator.DefaultClient()
	values := url.Values{"client_id": {client.ID}, "client_secret": {client.Secret.Reveal()}}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return values
}

func (r *rig) postForm(values url.Values) reply {
	r.t.Helper()
	return send(r.request("POST", r.LWATokenURL, formType, values.Encode()))
}

func (r *rig) exchange(code string) reply {
	r.t.Helper()
	return r.postForm(form("grant_type", "authorization_code", "code", code))
}

func (r *rig) refresh(token string) reply {
	r.t.Helper()
	return r.postForm(form("grant_type", "refresh_token", "refresh_token", token))
}

// pair is the content of a token answer.
type pair struct {
	Access  string  `json:"access_token"`
	Refresh string  `json:"refresh_token"`
	Type    string  `json:"token_type"`
	Seconds float64 `json:"expires_in"`
}

func (r *rig) pair(got reply) pair {
	r.t.Helper()
	if got.err != nil || got.status != 200 {
		r.t.Fatalf("token request: answer = %d %s, error = %v", got.status, got.body, got.err)
	}
	return decodePair(r.t, got.body)
}

func decodePair(t testing.TB, body string) pair {
	t.Helper()
	var p pair
	if err := json.Unmarshal([]byte(body), &p); err != nil || p.Access == "" {
		t.Fatalf("token answer %q: %v", body, err)
	}
	return p
}

// link enables the skill for a user and exchanges the code.
func (r *rig) link(region alexa.Region, user string) pair {
	r.t.Helper()
	return r.pair(r.exchange(r.Code(region, user).Reveal()))
}

// directPair is link without a network.
func directPair(t testing.TB, sim *simulator.Simulator) pair {
	t.Helper()
	code := sim.Code(alexa.EU, "amzn-1").Reveal()
	return decodePair(t, directForm(sim, form("grant_type", "authorization_code", "code", code).Encode()).Body.String())
}

func directForm(handler http.Handler, form string) *httptest.ResponseRecorder {
	request := httptest.NewRequest("POST", "/auth/o2/token", strings.NewReader(form))
	request.Header.Set("Content-Type", formType)
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder
}

// direct posts an event without a network, as in a bubble, and reports whether the
// handler was aborted.
func direct(ctx context.Context, handler http.Handler, body, token string) (aborted bool) {
	request := httptest.NewRequestWithContext(ctx, "POST", "/v3/events", strings.NewReader(withToken(body, token)))
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	defer func() {
		if recovered := recover(); recovered != nil && recovered != http.ErrAbortHandler {
			panic(recovered)
		} else {
			aborted = recovered != nil
		}
	}()
	handler.ServeHTTP(httptest.NewRecorder(), request)
	return false
}

// event returns a request that posts body with token in the header.
func (r *rig) event(region alexa.Region, token, body string) *http.Request {
	r.t.Helper()
	request := r.request("POST", r.GatewayURL(region)+"/v3/events", "application/json", body)
	request.Header.Set("Authorization", "Bearer "+token)
	return request
}

// report posts a valid ChangeReport.
func (r *rig) report(region alexa.Region, token string) reply {
	r.t.Helper()
	return send(r.event(region, token, withToken(changeReport, token)))
}

// withToken puts a token into a body. Tokens need no escaping in JSON.
func withToken(body, token string) string { return strings.ReplaceAll(body, "TOKEN", token) }

const changeReport = `{
  "context": {"properties": [
    {"namespace": "Alexa.EndpointHealth", "name": "connectivity", "value": {"value": "OK"},
     "timeOfSample": "2026-01-02T03:00:00Z", "uncertaintyInMilliseconds": 0}]},
  "event": {
    "header": {"namespace": "Alexa", "name": "ChangeReport", "messageId": "00000000-0000-4000-8000-000000000003", "payloadVersion": "3"},
    "endpoint": {"scope": {"type": "BearerToken", "token": "TOKEN"}, "endpointId": "fan-1", "cookie": {}},
    "payload": {"change": {"cause": {"type": "PHYSICAL_INTERACTION"}, "properties": [
      {"namespace": "Alexa.ToggleController", "instance": "Fan.Oscillate", "name": "toggleState", "value": "ON",
       "timeOfSample": "2026-01-02T03:04:05.678Z", "uncertaintyInMilliseconds": 50}]}}}}`

// gone marks a field to remove in edited.
var gone = new(int)

// edited changes fields of a JSON body: each path, of names and array indexes
// joined by dots, is followed by the new value.
func edited(body string, changes ...any) string {
	var tree any
	err := json.Unmarshal([]byte(body), &tree)
	for i := 0; i < len(changes); i += 2 {
		tree = replaced(tree, strings.Split(changes[i].(string), "."), changes[i+1])
	}
	encoded, encodeErr := json.Marshal(tree)
	if err := errors.Join(err, encodeErr); err != nil {
		panic(err)
	}
	return string(encoded)
}

func replaced(node any, path []string, to any) any {
	if len(path) == 0 {
		return to
	}
	switch node := node.(type) {
	case map[string]any:
		if node[path[0]] = replaced(node[path[0]], path[1:], to); node[path[0]] == any(gone) {
			delete(node, path[0])
		}
		return node
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil {
			panic(err)
		}
		node[i] = replaced(node[i], path[1:], to)
		return node
	}
	return replaced(map[string]any{}, path, to)
}
