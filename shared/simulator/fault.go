package simulator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// Target is what a request asks for: the place that a fault is put.
type Target string

// The requests of Login with Amazon that can be answered with faults.
const (
	Exchange  Target = "lwa/exchange"  // an authorization code for tokens
	Refresh   Target = "lwa/refresh"   // a refresh token for tokens
	TokenInfo Target = "lwa/tokeninfo" // whom an access token belongs to

	// neither is a token request too malformed to be one of the above.
	neither Target = "lwa/token"
)

// Gateway is the target of the events for one region's gateway, for example
// "gateway/EU".
func Gateway(region alexa.Region) Target { return gatewayPrefix + Target(region) }

const gatewayPrefix = "gateway/"

func (t Target) isGateway() bool { return strings.HasPrefix(string(t), gatewayPrefix) }

// known reports whether faults can be put there.
func (t Target) known() bool {
	switch t {
	case Exchange, Refresh, TokenInfo, Gateway(alexa.NA), Gateway(alexa.EU), Gateway(alexa.FE):
		return true
	}
	return false
}

// Fault is one way for a request to go wrong. It has three parts, all
// optional: which requests it is for, what is answered instead of the real
// work, and how the answer is delivered. With no Status, Code, Body or Reset
// the real work is done and only its delivery is spoiled.
type Fault struct {
	// User, EndpointID and Match restrict the fault to requests with that
	// Amazon user, that event.endpoint.endpointId, and for which Match returns
	// true. Match is called when the request arrives, one call at a time, and
	// must not add or clear faults.
	User       string
	EndpointID string
	Match      func(Request) bool

	// Times is how many requests the fault is for, one when zero. [Simulator.Always]
	// ignores it.
	Times int

	// Status is the HTTP status. Zero is the one that belongs to Code, or 200
	// when there is only a Body.
	Status int
	// Code and Description make an error body in Amazon's shape. The
	// description defaults to Amazon's own for that code. With a Status and
	// neither Code nor Body the body is empty.
	Code        string
	Description string
	// Body replaces the body, whatever the other fields say. ContentType
	// defaults to JSON or HTML, whichever the body is.
	Body        string
	ContentType string
	// RetryAfter is sent in seconds, rounded up.
	RetryAfter time.Duration

	// Delay passes before anything is done; a client that goes away in the
	// meantime ends it, and nothing is done.
	Delay time.Duration
	// Reset closes the connection without having done anything.
	Reset bool
	// AnswerLost does the work, then waits for Delay, then closes the
	// connection: a refresh has happened, and nobody got the tokens.
	AnswerLost bool
	// CutBody announces the whole body and sends half of it.
	CutBody bool

	// OmitRefreshToken leaves refresh_token out of a token answer; a refresh
	// then keeps the token that was sent in force. OmitExpiresIn leaves out
	// expires_in.
	OmitRefreshToken bool
	OmitExpiresIn    bool
}

// validate names what is wrong with a fault for a target.
func (f Fault) validate(target Target) *fieldError {
	_, hasStatus := known[f.Code]
	switch {
	case !target.known():
		const all = "lwa/exchange, lwa/refresh, lwa/tokeninfo, gateway/NA, gateway/EU, gateway/FE"
		return &fieldError{"target", fmt.Sprintf("%q is none of "+all, target)}
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return &fieldError{"status", "want 200 to 599"}
	case f.Code != "" && f.Status == 0 && !hasStatus:
		return &fieldError{"code", "unknown, so that it needs a status"}
	case f.Times < 0:
		return &fieldError{"times", "want 1 or more"}
	case f.Delay < 0:
		return &fieldError{"delay", "is negative"}
	case f.RetryAfter < 0:
		return &fieldError{"retryAfter", "is negative"}
	case f.replaces() && f.AnswerLost:
		return &fieldError{"answerLost", "does the real work, and cannot go with status, code, body or reset"}
	case f.EndpointID != "" && !target.isGateway():
		return &fieldError{"endpointId", "only events have one"}
	case (f.OmitRefreshToken || f.OmitExpiresIn) && target != Exchange && target != Refresh:
		return &fieldError{"omitRefreshToken, omitExpiresIn", "only for lwa/exchange and lwa/refresh"}
	}
	return nil
}

// fieldError says what is wrong with a field, by its name in JSON.
type fieldError struct{ field, problem string }

// replaces reports whether the real work is left undone.
func (f Fault) replaces() bool { return f.Status != 0 || f.Code != "" || f.Body != "" || f.Reset }

// silent reports whether no answer is given.
func (f Fault) silent() bool { return f.Reset || f.AnswerLost }

// matches reports whether the fault is for a request.
func (f Fault) matches(seen Request) bool {
	return (f.User == "" || f.User == seen.User) &&
		(f.EndpointID == "" || f.EndpointID == seen.EndpointID) &&
		(f.Match == nil || f.Match(seen))
}

// answer is what is sent instead of the real work.
func (f Fault) answer(target Target) answer {
	status, description := f.Status, f.Description
	if status == 0 {
		status = 200
		if f.Code != "" {
			status = known[f.Code].status
		}
	}
	if description == "" {
		description = describe(target, f.Code)
	}
	var a answer
	switch {
	case f.Body != "":
		a = answer{status: status, body: f.Body, code: f.Code, contentType: "text/html"}
		if json.Valid([]byte(f.Body)) {
			a.contentType = "application/json"
		}
	case f.Code != "":
		a = amazonError(target, status, f.Code, description)
	default:
		a = answer{status: status}
	}
	if f.ContentType != "" {
		a.contentType = f.ContentType
	}
	return a
}

// script holds the faults that wait for their requests.
type script struct {
	mu       sync.Mutex
	queued   map[Target][]Fault
	standing map[Target][]Fault
}

func newScript() *script {
	return &script{queued: make(map[Target][]Fault), standing: make(map[Target][]Fault)}
}

// Script queues faults for a target. Each request takes the first queued fault
// that matches it, Times times; without one it is served as it should be. A
// fault or target that makes no sense panics, because a test that waits for it
// would prove nothing.
func (s *Simulator) Script(target Target, faults ...Fault) {
	for _, fault := range faults {
		fault.mustSuit(target)
	}
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	for _, fault := range faults {
		fault.Times = max(fault.Times, 1)
		s.script.queued[target] = append(s.script.queued[target], fault)
	}
}

func (f Fault) mustSuit(target Target) {
	if wrong := f.validate(target); wrong != nil {
		panic("simulator: fault: " + wrong.field + ": " + wrong.problem)
	}
}

// Always makes a fault stand until [Simulator.Clear], for every request to the
// target that matches it and takes no queued fault. Of several the newest
// counts. It panics as Script does.
func (s *Simulator) Always(target Target, fault Fault) {
	fault.mustSuit(target)
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	s.script.standing[target] = slices.Insert(s.script.standing[target], 0, fault)
}

// Clear takes back every fault that has not been used. Requests that are in
// one already stay in it.
func (s *Simulator) Clear() {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	clear(s.script.queued)
	clear(s.script.standing)
}

// take returns the fault for a request, and whether there is one.
func (s *script) take(seen Request) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	matches := func(f Fault) bool { return f.matches(seen) }
	queue := s.queued[seen.Target]
	if i := slices.IndexFunc(queue, matches); i >= 0 {
		fault := queue[i]
		queue[i].Times--
		if queue[i].Times == 0 {
			s.queued[seen.Target] = slices.Delete(queue, i, i+1)
		}
		return fault, true
	}
	if i := slices.IndexFunc(s.standing[seen.Target], matches); i >= 0 {
		return s.standing[seen.Target][i], true
	}
	return Fault{}, false
}
