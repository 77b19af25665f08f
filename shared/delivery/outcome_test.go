package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

func refused(t *testing.T, status int, code string) error { return refusedUntil(t, status, code, "") }

// refusedUntil returns the real client's error of an answer. Call it outside a
// bubble, where the network works.
func refusedUntil(t *testing.T, status int, code, retryAfter string) error {
	t.Helper()
	return sent(t, func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(status)
		if code != "" {
			fmt.Fprintf(w, `{"payload":{"code":%q,"description":"d"}}`, code)
		}
	})
}

// noAnswer returns the error of a request that was sent and got no answer.
func noAnswer(t *testing.T) error {
	t.Helper()
	err := sent(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if failed, ok := errors.AsType[*gateway.Error](err); !ok || !failed.Unanswered() {
		t.Fatalf("%v", err)
	}
	return err
}

func sent(t *testing.T, handler http.HandlerFunc) error {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, err = gateway.New(alexa.EU, base, server.Client()).Send(t.Context(), sensitive.New("t"), []byte("{}"))
	return err
}

func TestOf(t *testing.T) {
	t.Parallel()
	ack := func(name delivery.OutcomeName) delivery.Outcome {
		return delivery.Outcome{Decision: delivery.Ack, Name: name}
	}
	dead := func(code string) delivery.Outcome {
		return delivery.Outcome{Decision: delivery.DeadLetter, Name: delivery.Dead, Code: code}
	}
	retry := func(code string) delivery.Outcome {
		return delivery.Outcome{Decision: delivery.Retry, Name: delivery.Redeliver, Code: code}
	}
	tests := []struct {
		name string
		err  error
		want delivery.Outcome
	}{
		{"accepted", nil, ack(delivery.Accepted)},
		{"revoked", fmt.Errorf("x: %w", access.ErrRevoked), ack(delivery.Revoked)},
		{"no grant", fmt.Errorf("%w: x", delivery.ErrNoGrant), ack(delivery.NoGrant)},
		{"elsewhere", fmt.Errorf("%w: x", delivery.ErrElsewhere), ack(delivery.Elsewhere)},
		{"suspended", delivery.ErrSuspended, ack(delivery.Suspended)},
		{"suspended, and must not be lost", delivery.ErrMissed, dead("SUSPENDED")},
		{"behind", fmt.Errorf("%w: %w", delivery.ErrBehind, access.ErrOtherClient), ack(delivery.Behind)},
		{"sent once, and no answer", fmt.Errorf("%w: %w", delivery.ErrUnconfirmed, context.DeadlineExceeded), ack(delivery.Unconfirmed)},
		{"expired", delivery.ErrExpired, ack(delivery.Expired)},
		{"duplicate", delivery.ErrDuplicate, ack(delivery.Duplicate)},
		{"superseded", delivery.ErrSuperseded, ack(delivery.Superseded)},
		{"unproven", delivery.ErrUnproven, delivery.Outcome{Decision: delivery.Ack, Name: delivery.Superseded, Code: "UNPROVEN"}},
		{"claimed", delivery.ErrClaimed, retry("CLAIMED")},
		{"no time", delivery.ErrNoTime, retry("HANDED_BACK")},
		{"region paused", fmt.Errorf("%w: %w", delivery.ErrPaused, breaker.ErrOpen), retry("REGION_PAUSED")},
		{"Login with Amazon paused", fmt.Errorf("x: %w", breaker.ErrOpen), retry("LOGIN_WITH_AMAZON_PAUSED")},
		{"braked", access.ErrBraked, retry("BRAKED")},
		{"became suspect by this event", fmt.Errorf("%w: %w", delivery.ErrSuspect, errors.New("x")), retry("SUSPECT")},
		{"busy", access.ErrBusy, retry("REFRESH_BUSY")},
		{"became suspect", access.ErrSuspect, retry("SUSPECT")},
		{"other client", access.ErrOtherClient, retry("OTHER_CLIENT")},
		{"unknown region", delivery.ErrUnknownRegion, dead("UNKNOWN_REGION")},
		{"malformed event", fmt.Errorf("x: %w", &alexa.FieldError{Path: "a", Problem: "missing"}), dead("INVALID_EVENT")},
		{"sealed by an unknown key", seal.ErrOpen, retry("INTERNAL")},
		{"cancelled", context.Canceled, retry("INTERNAL")},
		{"deadline", context.DeadlineExceeded, retry("INTERNAL")},
		{"unknown", errors.New("x"), retry("INTERNAL")},

		// The gateway's other answers are in TestDeliverToOneGrant and TestResends.
		{"400", refused(t, 400, "INVALID_REQUEST_EXCEPTION"), dead("INVALID_REQUEST_EXCEPTION")},
		{"400 bare", refused(t, 400, ""), dead("INVALID_REQUEST_EXCEPTION")},
		{"403 bare", refused(t, 403, ""), retry("INTERNAL")},
		{"skill disabled", refused(t, 403, "SKILL_DISABLED_EXCEPTION"), retry("SKILL_DISABLED_EXCEPTION")},
		{"account not found", refused(t, 404, "ACCOUNT_NOT_FOUND_EXCEPTION"), dead("ACCOUNT_NOT_FOUND_EXCEPTION")},
		{"413", refused(t, 413, ""), dead("REQUEST_ENTITY_TOO_LARGE_EXCEPTION")},

		// Only package access decides the meaning of this for the grant.
		{"LWA invalid_grant", lwa.ErrInvalidGrant, retry("INTERNAL")},
	}
	for _, test := range tests {
		expect.Equal(t, fmt.Sprintf("%s: outcome of %v", test.name, test.err), test.want, delivery.OutcomeOf(test.err))
	}
	if (delivery.Outcome{}).Decision != delivery.Retry {
		t.Error("the zero outcome is no retry")
	}
}
