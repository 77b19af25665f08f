package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// kind is what a message is, as far as the proxy cares.
type kind int

const (
	directive kind = iota
	acceptGrant
	skillEvent
)

// kindOf tells a message's kind. What is neither an authorization nor a skill
// event is the maker's, whatever it is.
func kindOf(m alexa.Envelope) kind {
	switch {
	case m.Namespace == "Alexa.Authorization":
		return acceptGrant
	case strings.HasPrefix(m.RequestType, "AlexaSkillEvent."):
		return skillEvent
	default:
		return directive
	}
}

// nameOf is how the log calls a message's kind.
func nameOf(m alexa.Envelope) string {
	switch {
	case m.RequestType != "":
		return plain(m.RequestType)
	case m.Namespace != "" || m.Name != "":
		return plain(m.Namespace + "." + m.Name)
	default:
		return "unknown"
	}
}

// tellsFault reports whether a directive says that an event was at fault which
// the gateway had taken: nothing else tells of what went wrong after the 202. The
// names are of the Alexa Connect Kit; others of their kind end in the same way.
func tellsFault(m alexa.Envelope) bool {
	return strings.HasSuffix(m.Name, "Error") || m.Namespace == "Alexa.DeviceUsage.Meter" && m.Name == "ReduceResolution"
}

// mostFault is how much of the payload of such a directive the log shows.
const mostFault = 1024

// plain is text fit for a log: names and ids have no other characters, so what
// has may be anything.
func plain(s string) string {
	strange := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.:", r))
	}
	if len(s) > 128 || strings.ContainsFunc(s, strange) {
		return "unreadable"
	}
	return s
}

// outcome is what became of a message, for the log.
type outcome string

const (
	passed          outcome = "passed"          // the answer from behind went back
	acknowledged    outcome = "acknowledged"    // a skill event that nobody wants
	unsupported     outcome = "unsupported"     // the skill has no handler of directives
	timedOut        outcome = "timed_out"       // no answer in time
	unreachable     outcome = "unreachable"     // no answer, or part of one
	unavailable     outcome = "unavailable"     // an answer that says that nobody is there
	refused         outcome = "refused"         // another status than success
	unusable        outcome = "unusable"        // success, but nothing that Alexa would understand
	unauthenticated outcome = "unauthenticated" // no ID token, so nobody was asked
	panicked        outcome = "panicked"
)

// answer is what goes back.
type answer struct {
	body    []byte
	err     error // fails the invocation
	outcome outcome
	code    string // the type of an error that the proxy itself answers
	level   slog.Level
}

// errNotTaken fails the invocation of a skill event that may be taken next
// time. An asynchronous invocation that failed is made again by Lambda:
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html.
var errNotTaken = errors.New("the skill event was not taken")

// judge decides what goes back for a reply from behind.
func judge(k kind, m alexa.Envelope, r reply) answer {
	became := outcomeOf(k, m, r)
	if k == skillEvent && neverTaken(r) {
		return answer{body: []byte("{}"), outcome: became, level: slog.LevelError}
	}
	if became != passed {
		return failed(k, m, became)
	}
	if k == skillEvent && !json.Valid(r.body) {
		return answer{body: []byte("{}"), outcome: passed} // nobody reads it
	}
	return answer{body: r.body, outcome: passed}
}

// neverTaken reports whether a message was refused for what it is. Everything
// else that is no success is about the way there, which may be better next time.
func neverTaken(r reply) bool {
	return r.err == nil && (r.status == http.StatusBadRequest || r.status == http.StatusRequestEntityTooLarge ||
		r.status == http.StatusUnprocessableEntity)
}

func outcomeOf(k kind, m alexa.Envelope, r reply) outcome {
	switch {
	case errors.Is(r.err, errNoIDToken):
		return unauthenticated
	case errors.Is(r.err, errTooLarge):
		return unusable
	case errors.Is(r.err, context.DeadlineExceeded):
		return timedOut
	case r.err != nil:
		return unreachable
	case k == skillEvent && r.status >= 200 && r.status <= 299:
		return passed
	case r.status == http.StatusBadGateway, r.status == http.StatusServiceUnavailable, r.status == http.StatusGatewayTimeout:
		return unavailable
	case r.status != http.StatusOK:
		return refused
	case !isAnswer(m, r.body):
		return unusable
	}
	return passed
}

// isAnswer reports whether Alexa would see an answer in the body. A request in
// the form of a custom skill's is answered in that form, which is the maker's
// affair. A byte order mark is no part of the text, and readers may ignore it
// (RFC 8259, section 8.1): it alone is no reason to withhold an answer.
func isAnswer(m alexa.Envelope, body []byte) bool {
	body = bytes.TrimPrefix(body, []byte("\uFEFF"))
	if m.RequestType != "" {
		return json.Valid(body)
	}
	return alexa.HasEvent(body)
}

// failed is the proxy's own answer. A customer whose grant was refused has to
// link the skill again, and what the configuration does wrong it does to
// everybody: a person should look at either.
func failed(k kind, m alexa.Envelope, why outcome) answer {
	a := answer{outcome: why, level: slog.LevelWarn}
	switch {
	case k == acceptGrant:
		a.code = "ACCEPT_GRANT_FAILED"
		a.body = alexa.AcceptGrantFailed(uuid.NewString(), "the grant could not be accepted")
	case k == skillEvent:
		a.err = errNotTaken
	case why == timedOut, why == unreachable, why == unavailable:
		a.code, a.body = respond(m, alexa.BridgeUnreachable, "the device cloud did not answer")
	default:
		a.code, a.body = respond(m, alexa.InternalError, "the device cloud failed to answer")
	}
	if k == acceptGrant || why == refused || why == unusable || why == unauthenticated || why == panicked {
		a.level = slog.LevelError
	}
	return a
}

// withoutTarget answers what there is nobody to ask about.
func withoutTarget(k kind, m alexa.Envelope) answer {
	if k == skillEvent {
		return answer{body: []byte("{}"), outcome: acknowledged}
	}
	code, body := respond(m, alexa.InvalidDirective, "the skill does not support this directive")
	return answer{body: body, outcome: unsupported, code: code, level: slog.LevelWarn}
}

func respond(m alexa.Envelope, typ alexa.ErrorType, text string) (code string, body []byte) {
	return string(typ), alexa.ErrorResponse(m, uuid.NewString(), typ, text)
}
