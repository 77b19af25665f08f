package delivery

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"

	"github.com/google/uuid"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/outcome"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// send brings the event to one grant's gateway. A token that the gateway does
// not take is renewed once, and the event sent again.
func (d *Deliverer) send(ctx context.Context, e event, record grant.Record, id string) error {
	g := record.Grants[id]
	if g.State == grant.Suspect && d.Now().Before(g.NextTry) {
		return outcome.ErrSuspended
	}
	token, err := d.Tokens.Token(ctx, record, id)
	if err != nil {
		return err
	}
	err = d.post(ctx, e, g, id, token)
	if !tokenRefused(err) {
		return err
	}
	newer, renewErr := d.Tokens.Renew(ctx, record.Key(), id, token.Version)
	if renewErr != nil {
		return renewErr
	}
	return d.post(ctx, e, g, id, newer)
}

// post makes one attempt. The token is in the header and in the body, so the
// body is encoded anew for each.
func (d *Deliverer) post(ctx context.Context, e event, g grant.Grant, id string, token access.Token) error {
	if token.Renewed {
		telemetry.Add(ctx, slog.Bool(telemetry.Renewed, true))
	}
	body := e.Append(make([]byte, 0, 2048), messageID(e.id, id, 0), token.Access)
	receipt, err := d.Gateways[g.Region].Send(ctx, token.Access, body)
	if err == nil && receipt.RequestID != "" {
		telemetry.Add(ctx, slog.String(telemetry.Gateway, receipt.RequestID))
	}
	return err
}

// tokenRefused reports whether a fresh token might help: the gateway names the
// token, or answers 403 without saying why.
func tokenRefused(err error) bool {
	return errors.Is(err, gateway.ErrInvalidAccessToken) || errors.Is(err, gateway.ErrForbidden)
}

// messageSpace is the name space of message ids, as RFC 9562 wants one for ids
// made from names.
var messageSpace = uuid.MustParse("7c9a1f0e-5d0b-4f3a-9a52-0d6a5f2f6c11")

// messageID is the gateway's id of one part of an event for one grant. The
// same part has the same id however often, and by whichever process, it is
// sent, so that Alexa can tell a repetition. It is a UUID, whose characters
// Amazon's schema allows.
func messageID(event, grantID string, part byte) string {
	name := append([]byte(event+"\x00"+grantID+"\x00"), part)
	return uuid.NewHash(sha256.New(), messageSpace, name, 8).String()
}
