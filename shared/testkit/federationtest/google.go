package federationtest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// The parties that the fake knows.
const (
	Provider       = "//iam.googleapis.com/projects/1234/locations/global/workloadIdentityPools/gatepost/providers/aws"
	ServiceAccount = "skillproxy@maker-test.iam.gserviceaccount.com"
	AWSRegion      = "eu-west-1"
)

const authScope = "https://www.googleapis.com/auth/"

// Role is the AWS role's environment, as Lambda gives it.
func Role() map[string]string {
	return map[string]string{
		"AWS_ACCESS_KEY_ID":     "ASIAFAKE",
		"AWS_SECRET_ACCESS_KEY": "fake-aws-secret-canary",
		"AWS_SESSION_TOKEN":     "fake-aws-session-canary",
	}
}

// Service is one of the two services.
type Service string

// The services, and the paths that they are at.
const (
	STS         Service = "/v1/token"
	Credentials Service = "/v1/projects/-/serviceAccounts/" + ServiceAccount + ":generateIdToken"
)

// Google is both services as one http.Handler.
type Google struct {
	// What a call has to name: [Provider] and [ServiceAccount], unless they are changed
	// before the first call.
	Provider, ServiceAccount string

	now func() time.Time

	mu       sync.Mutex
	lifetime time.Duration
	calls    []Service
	faults   map[Service][]http.HandlerFunc
	access   []string          // issued and not revoked
	tokens   map[string]string // audience by ID token
	problems []string
}

// New returns services whose ID tokens live for an hour.
func New(now func() time.Time) *Google {
	return &Google{
		Provider: Provider, ServiceAccount: ServiceAccount, now: now, lifetime: time.Hour,
		faults: make(map[Service][]http.HandlerFunc), tokens: make(map[string]string),
	}
}

// Lifetime sets the lifetime of the next ID tokens.
func (g *Google) Lifetime(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lifetime = d
}

// Fail has h answer the next call of a service.
func (g *Google) Fail(s Service, h http.HandlerFunc) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults[s] = append(g.faults[s], h)
}

// Refuse returns a fault with a status and a body.
func Refuse(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// Calls lists the calls so far, including failed ones.
func (g *Google) Calls() []Service {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.calls)
}

// Problems describes the faults of refused calls.
func (g *Google) Problems() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.problems)
}

// Revoke ends all access tokens.
func (g *Google) Revoke() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.access = nil
}

// Accepts reports whether an Authorization header has an ID token for the audience.
func (g *Google) Accepts(authorization, audience string) bool {
	token, ok := strings.CutPrefix(authorization, "Bearer ")
	g.mu.Lock()
	defer g.mu.Unlock()
	issued, known := g.tokens[token]
	return ok && known && issued == audience
}

// ServeHTTP implements [http.Handler].
func (g *Google) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if fault := g.begin(Service(r.URL.Path)); fault != nil {
		fault(w, r)
		return
	}
	answer, err := any(nil), error(nil)
	switch Service(r.URL.Path) {
	case STS:
		answer, err = g.exchange(r)
	case Service(strings.Replace(string(Credentials), ServiceAccount, g.ServiceAccount, 1)):
		answer, err = g.generate(r)
	default:
		err = fmt.Errorf("there is nothing at %s", r.URL.Path)
	}
	if err != nil {
		g.mu.Lock()
		g.problems = append(g.problems, err.Error())
		g.mu.Unlock()
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// begin records a call and returns its fault, if any.
func (g *Google) begin(s Service) http.HandlerFunc {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, s)
	if len(g.faults[s]) == 0 {
		return nil
	}
	fault := g.faults[s][0]
	g.faults[s] = g.faults[s][1:]
	return fault
}

// exchange is https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token.
func (g *Google) exchange(r *http.Request) (any, error) {
	for name, want := range map[string]string{
		"audience":             g.Provider,
		"grant_type":           "urn:ietf:params:oauth:grant-type:token-exchange",
		"requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
		"subject_token_type":   "urn:ietf:params:aws:token-type:aws4_request",
	} {
		if got := r.PostFormValue(name); got != want {
			return nil, fmt.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	// Either scope allows the token to create ID tokens.
	if scope := r.PostFormValue("scope"); scope != authScope+"cloud-platform" && scope != authScope+"iam" {
		return nil, fmt.Errorf("scope is %q", scope)
	}
	if err := verifyCaller(r.PostFormValue("subject_token"), g.Provider, g.now()); err != nil {
		return nil, fmt.Errorf("subject_token: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	token := fmt.Sprintf("ya29.fake-access-canary-%d", len(g.calls))
	g.access = append(g.access, token)
	return map[string]any{
		"access_token": token, "token_type": "Bearer", "expires_in": 3599,
		"issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
	}, nil
}

// generate is https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateIdToken.
func (g *Google) generate(r *http.Request) (any, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !slices.Contains(g.access, token) {
		return nil, fmt.Errorf("no access token of mine")
	}
	var request struct {
		Audience     string
		IncludeEmail bool
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil || request.Audience == "" || !request.IncludeEmail {
		return nil, fmt.Errorf("request is incomplete: %+v (%v)", request, err)
	}
	claims := fmt.Sprintf(`{"aud":%q,"email":%q,"exp":%d,"jti":"%d"}`, request.Audience, g.ServiceAccount, g.now().Add(g.lifetime).Unix(),
		len(g.calls))
	id := "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".fake-signatures-canary"
	g.tokens[id] = request.Audience
	return map[string]any{"token": id}, nil
}
