package delivery

import (
	"errors"
	"time"

	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// reaction is what an attempt's error asks for.
type reaction int

const (
	// final: no further attempt; OutcomeOf maps the error to an outcome.
	final reaction = iota
	// resend: the gateway is overloaded or down. The event may be accepted in a
	// moment.
	resend
	// renew: the token may be at fault. A forced refresh proves the grant, and the
	// event is resent with the new token.
	renew
	// prove: the gateway says that the grant is gone. A forced refresh shows whether it
	// is; if the refresh succeeds, the grant becomes suspect.
	prove
	// suspect: the gateway refuses the grant for a reason that a refresh cannot
	// fix.
	suspect
	// unanswered: the event was sent, and no answer came. The gateway may have
	// accepted it.
	unanswered
	// halve: the event is too large.
	halve
)

// youngGrant is how long after linking the gateway may still not know that the
// skill is enabled.
const youngGrant = 10 * time.Minute

// reactTo returns what to do about an attempt's error, and why the grant becomes
// suspect, if it does.
func reactTo(err error, g grant.Grant, now time.Time) (do reaction, reason string) {
	var refusal *gateway.Error
	switch {
	case errors.As(err, &refusal) && refusal.Unanswered():
		return unanswered, ""
	case errors.Is(err, gateway.ErrInvalidAccessToken), errors.Is(err, gateway.ErrForbidden):
		return renew, grant.ReasonUnauthorized
	case errors.Is(err, gateway.ErrSkillDisabled):
		return prove, grant.ReasonSkillDisabled
	case errors.Is(err, gateway.ErrSkillNeverEnabled):
		if now.Sub(g.CreatedAt) < youngGrant {
			return final, ""
		}
		return suspect, grant.ReasonSkillNeverEnabled
	case errors.Is(err, gateway.ErrInsufficientPermission):
		return suspect, grant.ReasonInsufficientPermission
	case errors.Is(err, gateway.ErrSkillNotFound):
		return suspect, grant.ReasonSkillNotFound
	case errors.Is(err, gateway.ErrTooLarge):
		return halve, ""
	case errors.Is(err, gateway.ErrThrottled), errors.Is(err, gateway.ErrInternal), errors.Is(err, gateway.ErrUnavailable):
		return resend, ""
	}
	return final, ""
}
