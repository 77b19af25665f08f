package delivery

import (
	"errors"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/gateway"
)

// Decision is what happens next to an event for one grant.
type Decision int

const (
	// Retry: Pub/Sub delivers the message again. It is the zero value, so that an
	// oversight loses nothing.
	Retry Decision = iota
	// Ack: there is nothing more to do.
	Ack
	// DeadLetter: it can never be delivered as it is, and an operator should look.
	DeadLetter
)

// String returns the decision as it appears in the logs.
func (d Decision) String() string {
	switch d {
	case Ack:
		return "ack"
	case DeadLetter:
		return "dead_letter"
	}
	return "retry"
}

// OutcomeName names an outcome in SendEvent's answer and in the logs.
type OutcomeName string

// The names of the outcomes.
const (
	Accepted   OutcomeName = "accepted"
	Duplicate  OutcomeName = "duplicate"
	Superseded OutcomeName = "superseded"
	Expired    OutcomeName = "expired"
	Suspended  OutcomeName = "suspended"
	Revoked    OutcomeName = "revoked"
	// Unconfirmed: an event that must not be repeated was sent, and no answer came. It
	// may have been accepted, and is not resent.
	Unconfirmed OutcomeName = "unconfirmed"
	// Behind: other grants of the customer accepted the report. The sweep will ask the
	// maker to report the endpoint again for this one.
	Behind OutcomeName = "behind"
	// NoGrant and Elsewhere: the event is for no grant here. SendEvent's answer does
	// not list them: it has one outcome for each grant.
	NoGrant   OutcomeName = "no_grant"
	Elsewhere OutcomeName = "elsewhere"

	Dead OutcomeName = "dead_letter"
	// Redeliver is never in an answer that acknowledges.
	Redeliver OutcomeName = "retry"
)

// Outcome is the result of an event for one grant.
type Outcome struct {
	Decision Decision
	Name     OutcomeName
	Code     string // the gateway's code, or one of Gatepost's
}

var (
	// ErrUnknownRegion: the message's region attribute names no region.
	ErrUnknownRegion = errors.New("attribute region: must be NA, EU or FE")
	// ErrNoGrant: the customer has no grant that the event is for.
	ErrNoGrant = errors.New("no grant")
	// ErrElsewhere: the event is for a region that another stack serves.
	ErrElsewhere = errors.New("served elsewhere")
	// ErrSuspended: the grant is suspect, and it is too early to try it again.
	ErrSuspended = errors.New("grant is suspect, and it is too early to try it")
	// ErrMissed: the grant is suspect, and no later event supersedes this one.
	ErrMissed = errors.New("grant is suspect, and the event must not be lost")
	// ErrUnconfirmed: the event must not be repeated, and no answer came.
	ErrUnconfirmed = errors.New("event was sent once, and no answer came")
	// ErrBehind: other grants of the customer accepted the report; this one is
	// recorded as behind.
	ErrBehind = errors.New("other grants accepted the report")
	// ErrPaused: the region's circuit breaker is open, or has no room.
	ErrPaused = errors.New("the region's circuit breaker is open")
	// ErrSuspect: this event has made the grant suspect.
	ErrSuspect = errors.New("grant is suspect")
	// ErrDuplicate: the event was accepted before.
	ErrDuplicate = errors.New("event was accepted before")
	// ErrSuperseded: what the event reports is older than what was accepted.
	ErrSuperseded = errors.New("a newer report was accepted before")
	// ErrClaimed: another process is sending the event, or died while sending it.
	ErrClaimed = errors.New("another process is sending this event")
	// ErrNoTime: another attempt could not be finished in the time that is left. The
	// event is handed back to Pub/Sub before it is cut off.
	ErrNoTime = errors.New("not enough time left for another attempt")
	// ErrUnproven: the grant may be the same link as a newer one, which has the
	// event, and the event must not be announced twice.
	ErrUnproven = errors.New("grant is unproven since the customer linked again")
	// ErrExpired: the event is too old to send.
	ErrExpired = errors.New("event is too old")
)

// OutcomeOf returns the outcome of an attempt to deliver an event: whether it is
// acknowledged, redelivered or dead-lettered. Nothing else decides that. A nil
// error is an accepted event. An unknown error means retry: the subscription
// limits the attempts, so such an event ends in the dead-letter topic and is not lost.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Outcome{Decision: Ack, Name: Accepted}
	}
	for _, known := range table {
		if errors.Is(err, known.err) {
			return Outcome{Decision: known.decision, Name: known.name, Code: code(err, known.code)}
		}
	}
	var field *alexa.FieldError
	if errors.As(err, &field) {
		return Outcome{Decision: DeadLetter, Name: Dead, Code: "INVALID_EVENT"}
	}
	return Outcome{Decision: Retry, Name: Redeliver, Code: code(err, "INTERNAL")}
}

// table maps the errors that have an outcome or a code of their own.
var table = []struct {
	err      error
	decision Decision
	name     OutcomeName
	code     string
}{
	{access.ErrRevoked, Ack, Revoked, ""},
	{ErrNoGrant, Ack, NoGrant, ""},
	{ErrElsewhere, Ack, Elsewhere, ""},
	{ErrBehind, Ack, Behind, ""},
	{ErrSuspended, Ack, Suspended, ""},
	{ErrUnconfirmed, Ack, Unconfirmed, ""},
	{ErrMissed, DeadLetter, Dead, "SUSPENDED"},
	{ErrDuplicate, Ack, Duplicate, ""},
	{ErrSuperseded, Ack, Superseded, ""},
	{ErrUnproven, Ack, Superseded, "UNPROVEN"},
	{ErrExpired, Ack, Expired, ""},
	{ErrSuspect, Retry, Redeliver, "SUSPECT"},
	{ErrClaimed, Retry, Redeliver, "CLAIMED"},
	{ErrPaused, Retry, Redeliver, "REGION_PAUSED"},
	{ErrNoTime, Retry, Redeliver, "HANDED_BACK"},
	{ErrUnknownRegion, DeadLetter, Dead, "UNKNOWN_REGION"},
	{gateway.ErrInvalidRequest, DeadLetter, Dead, "INVALID_REQUEST_EXCEPTION"},
	{gateway.ErrAccountNotFound, DeadLetter, Dead, "ACCOUNT_NOT_FOUND_EXCEPTION"},
	{gateway.ErrTooLarge, DeadLetter, Dead, "REQUEST_ENTITY_TOO_LARGE_EXCEPTION"},
	// These are retried, with a code of their own.
	{access.ErrBusy, Retry, Redeliver, "REFRESH_BUSY"},
	{access.ErrSuspect, Retry, Redeliver, "SUSPECT"},
	{access.ErrBraked, Retry, Redeliver, "BRAKED"},
	{breaker.ErrOpen, Retry, Redeliver, "LOGIN_WITH_AMAZON_PAUSED"},
	{access.ErrOtherClient, Retry, Redeliver, "OTHER_CLIENT"},
}

// code returns the gateway's code if there is one.
func code(err error, fallback string) string {
	var refusal *gateway.Error
	if errors.As(err, &refusal) && refusal.Code != "" {
		return refusal.Code
	}
	return fallback
}
