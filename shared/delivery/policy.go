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
	// settle: nothing more to do here; OutcomeOf knows what it means.
	settle reaction = iota
	// resend: the gateway is not well. The same event may be taken in a moment.
	resend
	// renew: the token may be the fault. A forced refresh proves the grant, and
	// the event is sent again with the new token.
	renew
	// prove: the gateway says that the grant is gone. A forced refresh proves
	// whether it is; if not the gateway is not believed, and the grant suspect.
	prove
	// suspect: the gateway refuses the grant for a reason that no refresh mends.
	suspect
	// unanswered: the event was sent, and no answer came. It is not known whether
	// it was taken.
	unanswered
	// halve: the event is too large.
	halve
)

// youngGrant is how long after linking the gateway may not know yet that the
// skill was enabled.
const youngGrant = 10 * time.Minute

// reactTo decides what to do about an attempt's error. reason is why the grant
// becomes suspect, if it does.
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
			return settle, ""
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
	return settle, ""
}
