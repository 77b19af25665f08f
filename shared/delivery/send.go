package delivery

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/wait"
)

// sending is one event on its way to one grant.
type sending struct {
	d       *Deliverer
	event   *event
	message uuid.UUID // of the event as a whole
	record  grant.Record
	id      string
	grant   grant.Grant

	health  *health      // of the grant's region
	first   *firstAccept // when another of the customer's grants accepted the report; nil if this one does not wait
	slot    bool         // the event holds the one slot that a throttled grant has
	crowded bool         // another event has that slot
	resumes time.Time    // when the throttled grant may be tried again
	// open is the first attempt; attempting is true while it is in flight.
	open       attempt
	attempting bool
	// doubted is the first attempt, if it was refused, until a refresh has shown
	// whether the token was at fault; refusal is the gateway's answer.
	doubted attempt
	refusal error

	started time.Time
	probe   bool         // the event is the probe of a grant that the gateway refuses
	proof   bool         // the event has forced a refresh
	renewed bool         // the token comes from a forced refresh
	token   access.Token // zero until prepare has obtained it
	sent    Sent
}

// send sends the event to one grant's gateway, whole or in parts, and records what
// the gateway's answer means for the grant.
func (s *sending) send(ctx context.Context) (err error) {
	d, e, id := s.d, s.event, s.id
	s.health = d.health[s.grant.Region]
	if s.grant.State == grant.Revoked {
		return access.ErrRevoked
	}
	s.message = messageID(e.id, id, "")
	if d.memory.hasAccepted(s.message) {
		return ErrDuplicate
	}
	if s.event = d.memory.newest(e, id); s.event == nil {
		return ErrSuperseded
	}
	defer func() {
		if s.attempting { // a panic must not keep the breaker's slot
			s.open.cancel()
		}
		s.doubted.end(s.verdict(err), false)
		if s.slot {
			d.throttle.leave(id, err == nil)
		}
		if s.proof {
			s.health.proofs.end(d.Now(), err != nil && !errors.Is(err, access.ErrRevoked))
		}
	}()
	if s.grant.State == grant.Suspect {
		if err := s.admit(ctx); err != nil {
			return err
		}
	}
	for _, p := range parts(&s.event.Event) {
		if err := s.sendPart(ctx, p); err != nil {
			return err
		}
	}
	now := d.Now()
	s.sent.Delivered = now.Sub(s.event.published)
	s.health.acceptedAt.Store(now.UnixNano())
	s.first.note(now)
	d.memory.note(s.event, id, s.message)
	d.memory.refusals.Remove(id)
	s.noteRecovery(ctx)
	return nil
}

// sendPart sends one part and resends it if reactTo says so.
func (s *sending) sendPart(ctx context.Context, p part) error {
	message := s.message
	if p.piece {
		message = messageID(s.event.id, s.id, p.name)
		if s.d.memory.hasAccepted(message) {
			return nil // an earlier delivery got this far
		}
	}
	for sent := 0; ; sent++ {
		if err := s.prepare(ctx, sent); err != nil {
			return err
		}
		err := s.attempt(ctx, p, message, sent == 0)
		if errors.Is(err, ErrPaused) {
			return err
		}
		s.noteThrottled(err)
		do, reason := reactTo(err, s.grant, s.d.Now())
		switch do {
		case final:
			if err == nil && p.piece {
				s.d.memory.accepted.Put(message, struct{}{})
			}
			return err
		case unanswered:
			if s.event.once {
				return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
			}
			return err // Pub/Sub redelivers it
		case halve:
			return s.sendHalves(ctx, p, err)
		case suspect:
			return s.suspect(ctx, reason, err)
		case prove:
			refused := s.renew(ctx)
			switch {
			case refused == nil && s.token.Stored:
				continue // another process refreshed: its token does not prove the grant yet, so try it first
			case refused != nil && !errors.Is(refused, access.ErrProven):
				return refused
			}
			return s.suspect(ctx, reason, err)
		case renew:
			if s.renewed {
				return s.suspect(ctx, reason, err)
			}
			// A grant that was proven a short time ago is not proven again; but
			// one stray refusal is not yet a reason to doubt it.
			refused := s.renew(ctx)
			if refused != nil && !errors.Is(refused, access.ErrProven) {
				return refused
			}
			s.renewed = refused != nil || !s.token.Stored
		case resend:
			if sent >= resends || !s.mayResend() || s.sleep(ctx, s.backoff(sent, err)) != nil {
				return err
			}
		}
	}
}

// mayResend reports whether the event may wait for a resend: not while the region's
// breaker is open, nor while another event has the grant's one slot.
func (s *sending) mayResend() bool { return s.health.unhealthy.State() == breaker.Closed && !s.crowded }

// noteThrottled notes that the gateway throttles the grant: its other events are
// handed back to Pub/Sub in the meantime.
func (s *sending) noteThrottled(err error) {
	var refusal *gateway.Error
	if !errors.As(err, &refusal) || refusal.RetryAfter == 0 && !errors.Is(err, gateway.ErrThrottled) &&
		refusal.Status != http.StatusServiceUnavailable {
		return
	}
	until := s.d.Now().Add(min(max(refusal.RetryAfter, minPause), maxPause))
	s.resumes, s.slot = s.d.throttle.pause(s.id, until, s.slot)
	s.crowded = !s.slot
}

// attempt makes one attempt. The circuit breakers count the first of each event.
func (s *sending) attempt(ctx context.Context, p part, message uuid.UUID, first bool) error {
	if !first {
		return s.post(ctx, p, message)
	}
	a, err := s.health.begin(ctx, s.id, s.event.once, s.d.Now())
	if err != nil {
		return err
	}
	if !wait.HasTime(ctx, attemptTime) { // begin may have waited
		a.cancel()
		return ErrNoTime
	}
	s.open, s.attempting = a, true
	err = s.post(ctx, p, message)
	s.attempting = false
	young := errors.Is(err, gateway.ErrSkillNeverEnabled) && s.d.Now().Sub(s.grant.CreatedAt) < youngGrant
	if err != nil && !young && isRefusal(err) && s.mayProve() {
		s.doubted, s.refusal = a, err
		return err
	}
	a.end(err, young)
	return err
}

// verdict returns what a refused first attempt says about the region, given how the
// event ended: nothing if a refresh fixed the refusal or proved that the customer
// is gone.
func (s *sending) verdict(end error) error {
	if end == nil || errors.Is(end, access.ErrRevoked) {
		return nil
	}
	return s.refusal
}

// sendHalves splits a part that was too large, and sends the halves in turn.
func (s *sending) sendHalves(ctx context.Context, p part, tooLarge error) error {
	halves := p.halves()
	if halves == nil {
		return tooLarge
	}
	for _, half := range halves {
		if err := s.sendPart(ctx, half); err != nil {
			return err
		}
	}
	return nil
}

// prepare waits until the gateway may be called and gets the token. It returns an
// error at once if the attempt could not be finished in time.
func (s *sending) prepare(ctx context.Context, sent int) error {
	if sent == 0 && !s.slot {
		wait, slot, ok := s.d.throttle.enter(s.id, s.d.Now())
		if !ok {
			return ErrNoTime
		}
		s.slot = slot
		if wait > 0 {
			if err := s.sleep(ctx, wait+s.d.jitter(0)); err != nil {
				return err
			}
		}
	}
	if s.token.Access.Empty() {
		token, err := s.d.Tokens.Token(ctx, s.record, s.id)
		if err != nil {
			return err
		}
		s.token = token
	}
	// An unproven grant may be the same Amazon account as a newer one: a doorbell
	// would ring twice.
	if s.event.once && s.token.Unproven != nil {
		if errors.Is(s.token.Unproven, access.ErrBusy) {
			return s.token.Unproven
		}
		return ErrUnproven
	}
	if !wait.HasTime(ctx, attemptTime) {
		return ErrNoTime
	}
	return nil
}

// renew gets a token by a forced refresh. access.ErrProven means that a refresh
// succeeded a short time ago, which proves the grant as well. While the gateway
// refuses every grant of the region, a refresh would prove nothing, so none is
// made.
func (s *sending) renew(ctx context.Context) error {
	if !s.mayProve() {
		return ErrPaused
	}
	token, err := s.d.Tokens.Renew(ctx, s.record.Key(), s.id, s.token.Version)
	if err != nil {
		return err
	}
	s.token = token
	return nil
}

// backoff returns how long to wait before a resend: as long as the gateway asked
// for, in this answer or one to another event of the grant, at least a second, plus
// jitter that grows with each resend.
func (s *sending) backoff(sent int, err error) time.Duration {
	pause := max(minPause, s.resumes.Sub(s.d.Now()))
	var refusal *gateway.Error
	if errors.As(err, &refusal) {
		pause = max(pause, min(refusal.RetryAfter, maxPause))
	}
	return pause + s.d.jitter(sent)
}

// jitter keeps waiting events from being resent all at once.
func (d *Deliverer) jitter(sent int) time.Duration {
	return time.Duration(d.Draw() * float64(time.Second<<sent))
}

// post sends one request. The token is in the header and in the body, so the body
// is encoded again for each request.
func (s *sending) post(ctx context.Context, p part, message uuid.UUID) error {
	if s.token.Renewed {
		logging.Add(ctx, slog.Bool(logging.Renewed, true))
	}
	event := p.event()
	messageID := message.String()
	body := event.Append(make([]byte, 0, 2048), messageID, s.token.Access)
	to := s.d.Gateways[s.grant.Region]
	if s.event.once {
		var cancel context.CancelFunc
		ctx, cancel = wait.Less(ctx, time.Second) // the rest is for recordDelivery
		defer cancel()
		if patient, ok := s.d.Patient[s.grant.Region]; ok {
			to = patient
		}
	}
	began := s.d.Now()
	receipt, err := to.Send(ctx, s.token.Access, body)
	s.sent.note(messageID, receipt, err)
	s.sent.Took = s.d.Now().Sub(began)
	return err
}

// note notes one request and its answer.
func (s *Sent) note(messageID string, receipt gateway.Receipt, err error) {
	switch {
	case s.MessageID == "":
		s.MessageID = messageID
	case !strings.HasSuffix(s.MessageID, messageID):
		s.MessageID += " " + messageID
	}
	s.Tries++
	s.Status, s.RequestID = receipt.Status, receipt.RequestID
	if refusal, ok := errors.AsType[*gateway.Error](err); ok {
		s.Status, s.RequestID = refusal.Status, refusal.RequestID
	}
}

// messageSpace is the namespace of message ids: RFC 9562 requires one for
// name-based ids.
var messageSpace = uuid.MustParse("7c9a1f0e-5d0b-4f3a-9a52-0d6a5f2f6c11")

// messageID returns the messageId of one part of an event for one grant. It is the
// same for every attempt by every process, so that Alexa can recognize a duplicate.
// It is a UUID, whose characters Amazon's schema allows: RFC 9562 version 8, from a
// SHA-256.
func messageID(event, grantID, part string) uuid.UUID {
	name := append(make([]byte, 0, 512), messageSpace[:]...) // on the stack, unless it grows
	name = append(append(append(append(append(name, event...), 0), grantID...), 0), part...)
	sum := sha256.Sum256(name)
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 8<<4
	id[8] = id[8]&0x3f | 0x80
	return id
}
