package simulator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// Target is a type of request, to which faults apply.
type Target string

// The targets of Login with Amazon.
const (
	Exchange  Target = "lwa/exchange"  // an authorization code for tokens
	Refresh   Target = "lwa/refresh"   // a refresh token for tokens
	TokenInfo Target = "lwa/tokeninfo" // the user of an access token

	// neither is a token request that is neither an Exchange nor a Refresh.
	neither Target = "lwa/token"
)

// Gateway returns the target for the events of one region's gateway, for example
// "gateway/EU".
func Gateway(region alexa.Region) Target { return gatewayPrefix + Target(region) }

const gatewayPrefix = "gateway/"

func (t Target) isGateway() bool { return strings.HasPrefix(string(t), gatewayPrefix) }

// known reports whether faults can apply to the target.
func (t Target) known() bool {
	switch t {
	case Exchange, Refresh, TokenInfo, Gateway(alexa.NA), Gateway(alexa.EU), Gateway(alexa.FE):
		return true
	}
	return false
}

// Fault makes a request fail. It has three optional parts: which requests it applies to,
// the answer that replaces the real one, and how the answer is sent. Without Status,
// Code, Body or Reset the request is processed, and only its answer is affected.
type Fault struct {
	// User, EndpointID and Match restrict the fault to requests that have that
	// Amazon user and that event.endpoint.endpointId, and for which Match
	// returns true. Match is called when the request arrives, one call at a
	// time, and must not add or clear faults.
	User       string
	EndpointID string
	Match      func(Request) bool

	// Times is how many requests the fault applies to, one if zero.
	// [Simulator.Always] ignores it.
	Times int

	// Name is for [Simulator.Remove]. Share is the percentage of the matching
	// requests that the fault applies to, spread evenly; zero is all of them. The
	// fault ends at Until, if that is set.
	Name  string
	Share int
	Until time.Time

	// Status is the HTTP status. Zero is the status of Code, or 200 if there is
	// only a Body.
	Status int
	// Code and Description make an error body in Amazon's format. The
	// description defaults to Amazon's for that code. With a Status and neither
	// Code nor Body the body is empty.
	Code        string
	Description string
	// Body replaces the body, regardless of the other fields. ContentType
	// defaults to JSON if the body is JSON, otherwise to HTML.
	Body        string
	ContentType string
	// RetryAfter is sent in seconds, rounded up.
	RetryAfter time.Duration

	// Delay passes before the request is processed. A request whose client disconnects in
	// the meantime is not processed.
	Delay time.Duration
	// Reset closes the connection without processing the request.
	Reset bool
	// AnswerLost processes the request, waits for Delay, and closes the
	// connection: a refresh has succeeded, and the tokens are lost.
	AnswerLost bool
	// CutBody announces the whole body and sends half of it.
	CutBody bool

	// OmitRefreshToken leaves refresh_token out of a token answer; a refresh
	// then does not rotate the token. OmitExpiresIn leaves out expires_in.
	OmitRefreshToken bool
	OmitExpiresIn    bool
}

// validate returns what is wrong with a fault for a target, nil for nothing.
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
	case f.Share < 0 || f.Share > 100:
		return &fieldError{"share", "want 1 to 100"}
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

// fieldError is the problem of a field, by its name in JSON.
type fieldError struct{ field, problem string }

// replaces reports whether the fault replaces the processing of the request.
func (f Fault) replaces() bool { return f.Status != 0 || f.Code != "" || f.Body != "" || f.Reset }

// silent reports whether no answer is sent.
func (f Fault) silent() bool { return f.Reset || f.AnswerLost }

// matches reports whether the fault applies to a request.
func (f Fault) matches(seen Request) bool {
	return (f.User == "" || f.User == seen.User) &&
		(f.EndpointID == "" || f.EndpointID == seen.EndpointID) &&
		(f.Match == nil || f.Match(seen))
}

// answer returns the answer that replaces the real one.
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

// script holds the faults for coming requests.
type script struct {
	mu       sync.Mutex
	queued   map[Target][]scripted
	standing map[Target][]scripted
}

// scripted is a fault, and the number of requests that it matched.
type scripted struct {
	Fault
	matched int
}

func newScript() *script {
	return &script{queued: make(map[Target][]scripted), standing: make(map[Target][]scripted)}
}

// Script queues faults for a target. Each request takes the first queued fault that
// matches it, which applies to Times requests. Script panics on an invalid fault or
// target, because a test that relied on it would prove nothing.
func (s *Simulator) Script(target Target, faults ...Fault) {
	for _, fault := range faults {
		fault.mustBeValid(target)
	}
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	for _, fault := range faults {
		fault.Times = max(fault.Times, 1)
		s.script.queued[target] = append(s.script.queued[target], scripted{Fault: fault})
	}
}

func (f Fault) mustBeValid(target Target) {
	if wrong := f.validate(target); wrong != nil {
		panic("simulator: fault: " + wrong.field + ": " + wrong.problem)
	}
}

// Always applies a fault until [Simulator.Clear] to every request to the target that
// matches it and takes no queued fault. The newest of several applies. Always panics like
// Script.
func (s *Simulator) Always(target Target, fault Fault) {
	fault.mustBeValid(target)
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	s.script.standing[target] = slices.Insert(s.script.standing[target], 0, scripted{Fault: fault})
}

// Clear removes all faults. It does not affect requests that have taken one.
func (s *Simulator) Clear() {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	clear(s.script.queued)
	clear(s.script.standing)
}

// Remove removes the faults with a name, and returns how many there were.
func (s *Simulator) Remove(name string) int {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	n := 0
	for _, faults := range []map[Target][]scripted{s.script.queued, s.script.standing} {
		for target, list := range faults {
			faults[target] = slices.DeleteFunc(list, func(f scripted) bool { return f.Name == name })
			n += len(list) - len(faults[target])
		}
	}
	return n
}

// Faults returns the faults of [Simulator.Always] by target, the newest first.
func (s *Simulator) Faults() map[Target][]Fault {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	now, all := s.options.Now(), make(map[Target][]Fault)
	for target, list := range s.script.standing {
		for _, f := range list {
			if !f.ended(now) {
				all[target] = append(all[target], f.Fault)
			}
		}
	}
	return all
}

// take returns the fault for a request, and whether there is one.
func (s *script) take(seen Request) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.queued[seen.Target]
	for i := range queue {
		if fault := &queue[i]; fault.takes(seen) {
			taken := fault.Fault
			if fault.Times--; fault.Times == 0 {
				s.queued[seen.Target] = slices.Delete(queue, i, i+1)
			}
			return taken, true
		}
	}
	for i := range s.standing[seen.Target] {
		if fault := &s.standing[seen.Target][i]; fault.takes(seen) {
			return fault.Fault, true
		}
	}
	return Fault{}, false
}

// takes reports whether the fault applies to a request, and counts the request.
func (f *scripted) takes(seen Request) bool {
	if f.ended(seen.Time) || !f.matches(seen) {
		return false
	}
	f.matched++
	share := cmp.Or(f.Share, 100)
	return f.matched*share/100 > (f.matched-1)*share/100
}

func (f Fault) ended(now time.Time) bool { return !f.Until.IsZero() && !now.Before(f.Until) }
