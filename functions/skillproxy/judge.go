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

// kind is the kind of a message. It determines the target.
type kind int

const (
	directive kind = iota
	acceptGrant
	skillEvent
)

// kindOf returns a message's kind. Every message that is neither an authorization nor
// a skill event is a directive for the maker.
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

// logName returns the name of a message's kind in the log.
func logName(m alexa.Envelope) string {
	switch {
	case m.RequestType != "":
		return loggable(m.RequestType)
	case m.Namespace != "" || m.Name != "":
		return loggable(m.Namespace + "." + m.Name)
	default:
		return "unknown"
	}
}

// reportsFault reports whether a directive reports a fault of an event that the
// gateway had accepted. Such directives are the only sign of errors after the 202. The
// names are those of the Alexa Connect Kit; similar ones have the same ending.
func reportsFault(m alexa.Envelope) bool {
	return strings.HasSuffix(m.Name, "Error") || m.Namespace == "Alexa.DeviceUsage.Meter" && m.Name == "ReduceResolution"
}

// maxFault is the number of bytes of such a directive's payload that the log shows.
const maxFault = 1024

// loggable returns s if it looks like a name or an id, and "unreadable" otherwise,
// because other text may hold anything.
func loggable(s string) string {
	strange := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.:", r))
	}
	if len(s) > 128 || strings.ContainsFunc(s, strange) {
		return "unreadable"
	}
	return s
}

// outcome is the outcome of a message, for the log.
type outcome string

const (
	passed          outcome = "passed"          // the target's answer went back
	acknowledged    outcome = "acknowledged"    // a skill event without a target
	unsupported     outcome = "unsupported"     // the skill has no handler of directives
	timedOut        outcome = "timed_out"       // no answer in time
	unreachable     outcome = "unreachable"     // no answer, or part of one
	unavailable     outcome = "unavailable"     // 502, 503 or 504
	refused         outcome = "refused"         // another status than success
	unusable        outcome = "unusable"        // success, but not an answer of Alexa's form
	unauthenticated outcome = "unauthenticated" // no ID token, so the message was not sent
	panicked        outcome = "panicked"
)

// answer is the answer to Lambda.
type answer struct {
	body    []byte
	err     error // fails the invocation
	outcome outcome
	code    string // the type of an error that the proxy itself answers
	level   slog.Level
}

// errNotTaken fails the invocation of a skill event that a retry may deliver. Lambda
// retries an asynchronous invocation that failed:
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html.
var errNotTaken = errors.New("the skill event was not taken")

// judge returns the answer for a target's reply.
func judge(k kind, m alexa.Envelope, r reply) answer {
	o := outcomeOf(k, m, r)
	if k == skillEvent && isPermanent(r) {
		return answer{body: []byte("{}"), outcome: o, level: slog.LevelError}
	}
	if o != passed {
		return failureAnswer(k, m, o)
	}
	if k == skillEvent && !json.Valid(r.body) {
		return answer{body: []byte("{}"), outcome: passed} // Lambda takes only JSON, and Alexa ignores it
	}
	return answer{body: r.body, outcome: passed}
}

// isPermanent reports whether the target refused the message for its content. Every
// other failure may be gone at a retry.
func isPermanent(r reply) bool {
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

// isAnswer reports whether the body is an answer for Alexa. A request in the form of a
// custom skill's has an answer in that form, which the proxy does not check further. A
// parser may ignore a byte order mark (RFC 8259, section 8.1), so one alone is no
// reason to withhold an answer.
func isAnswer(m alexa.Envelope, body []byte) bool {
	body = bytes.TrimPrefix(body, []byte("\uFEFF"))
	if m.RequestType != "" {
		return json.Valid(body)
	}
	return alexa.HasEvent(body)
}

// failureAnswer returns the proxy's own answer after a failure. It is an Error, for a
// person to look at, if a grant failed, since that customer has to link the skill
// again, and if the failure is likely to affect every customer.
func failureAnswer(k kind, m alexa.Envelope, why outcome) answer {
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

// answerWithoutTarget returns the answer to a message of a kind that has no target.
func answerWithoutTarget(k kind, m alexa.Envelope) answer {
	if k == skillEvent {
		return answer{body: []byte("{}"), outcome: acknowledged}
	}
	code, body := respond(m, alexa.InvalidDirective, "the skill does not support this directive")
	return answer{body: body, outcome: unsupported, code: code, level: slog.LevelWarn}
}

func respond(m alexa.Envelope, typ alexa.ErrorType, text string) (code string, body []byte) {
	return string(typ), alexa.ErrorResponse(m, uuid.NewString(), typ, text)
}
