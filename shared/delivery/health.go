package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/cache"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/wait"
)

const (
	// resends is the most often that Amazon wants an event to be resent, and minPause is
	// the pause that it asks for in between.
	// https://developer.amazon.com/docs/smarthome/send-events.html
	resends  = 3
	minPause = time.Second
	maxPause = time.Minute // the longest Retry-After that is honoured
	// newcomerPause is the longest that an event waits in the process before its first
	// attempt. For a longer one it goes back to Pub/Sub: the events of one chatty
	// customer would otherwise fill the process.
	newcomerPause = 2 * time.Second
	// unhealthyPause is how often a process marks a region as unhealthy for the sweep.
	unhealthyPause = time.Minute
	// othersTrials is how long after the last event that may be repeated the trials of
	// a breaker are left to such events.
	othersTrials = time.Minute
)

// health is what a process knows of one region's gateway.
type health struct {
	region     alexa.Region
	unhealthy  *breaker.Breaker // opened by 429, 5xx and no answer
	refused    *breaker.Breaker // opened by 401 and 403
	acceptedAt atomic.Int64     // when the gateway last accepted an event, in Unix nanoseconds
	proofs     proofs
	trial      atomic.Int64 // when an event that may be a trial last came
	marked     atomic.Int64 // when the region was last marked as unhealthy
}

func newHealth(region alexa.Region, now func() time.Time, onChange func(alexa.Region, string, breaker.Change)) *health {
	tell := func(name string) func(breaker.Change) {
		return func(c breaker.Change) {
			if onChange != nil {
				onChange(region, name, c)
			}
		}
	}
	h := &health{
		region:    region,
		unhealthy: breaker.New(breaker.Config{Now: now, OnChange: tell("gateway")}),
		refused:   breaker.New(breaker.Config{Now: now, OnChange: tell("tokens"), AnswersOnly: true}),
	}
	h.acceptedAt.Store(now().UnixNano())
	return h
}

// open reports whether a breaker is open: no event can be sent now.
func (h *health) open() bool {
	return h.unhealthy.State() == breaker.Open || h.refused.State() == breaker.Open
}

// closed reports whether both breakers are closed.
func (h *health) closed() bool {
	return h.unhealthy.State() == breaker.Closed && h.refused.State() == breaker.Closed
}

// maxProofs is how many events may force a refresh in vain within confirmAfter. When
// a gateway begins to refuse every grant, many events are refused before the breaker
// opens; without the bound each would cost Login with Amazon a refresh.
const maxProofs = 10

// proofs counts the events that forced a refresh.
type proofs struct {
	mu      sync.Mutex
	running int
	failed  []time.Time // when the forced refreshes ended after which the gateway still refused
}

// begin reports whether one more event may force a refresh.
func (p *proofs) begin(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = slices.DeleteFunc(p.failed, func(at time.Time) bool { return now.Sub(at) >= confirmAfter })
	if p.running+len(p.failed) >= maxProofs {
		return false
	}
	p.running++
	return true
}

func (p *proofs) end(now time.Time, failed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running--; failed {
		p.failed = append(p.failed, now)
	}
}

// mayProve reports whether the event may force a refresh. A trial of the breaker may:
// if Amazon revoked every token of the region, only a refresh closes the breaker.
func (s *sending) mayProve() bool {
	if s.health.refused.State() == breaker.Open {
		return false
	}
	s.proof = s.proof || s.health.proofs.begin(s.d.Now())
	return s.proof
}

// noTrial reports whether an event must not be a trial of a breaker: one that must not be
// repeated is no trial while other events can be. After a minute without other events it
// may be one, or the breaker would never close for a maker who sends no others.
func (h *health) noTrial(once bool, now time.Time) bool {
	return once && now.UnixNano()-h.trial.Load() < int64(othersTrials)
}

// attempt is the first attempt of an event, which the breakers count.
type attempt struct {
	h                  *health
	unhealthy, refused breaker.Attempt
}

// begin admits a first attempt. While a breaker is half-open, only trials are admitted,
// and they may wait for a slot.
func (h *health) begin(ctx context.Context, grantID string, once bool, now time.Time) (attempt, error) {
	options := breaker.Options{NoTrial: h.noTrial(once, now), Wait: newcomerPause}
	a := attempt{h: h}
	var err error
	if a.unhealthy, err = h.unhealthy.Begin(ctx, grantID, options); err != nil {
		return attempt{}, fmt.Errorf("%w: %w", ErrPaused, err)
	}
	if a.refused, err = h.refused.Begin(ctx, grantID, options); err != nil {
		h.unhealthy.Cancel(a.unhealthy)
		return attempt{}, fmt.Errorf("%w: %w", ErrPaused, err)
	}
	if !once {
		h.trial.Store(now.UnixNano())
	}
	return a, nil
}

// cancel gives back the slot of an attempt that was not made.
func (a attempt) cancel() {
	a.h.unhealthy.Cancel(a.unhealthy)
	a.h.refused.Cancel(a.refused)
}

// end counts the answer. A refusal that is expected of the grant says nothing about
// the region.
func (a attempt) end(err error, expected bool) {
	if a.h == nil {
		return
	}
	a.h.unhealthy.End(a.unhealthy, !isUnhealthy(err))
	switch {
	case isUnhealthy(err), expected:
		a.h.refused.Cancel(a.refused)
	default:
		a.h.refused.End(a.refused, !isRefusal(err))
	}
}

// isUnhealthy reports whether an answer, or the lack of one, says that the gateway is
// overloaded or down.
func isUnhealthy(err error) bool {
	if errors.Is(err, gateway.ErrUnavailable) {
		var refusal *gateway.Error // not above: it costs an allocation
		return !errors.As(err, &refusal) || refusal.Status == 0 || refusal.Status >= http.StatusInternalServerError
	}
	return errors.Is(err, gateway.ErrThrottled) || errors.Is(err, gateway.ErrInternal)
}

// isRefusal reports whether the gateway refuses the token or the grant.
func isRefusal(err error) bool {
	var refusal *gateway.Error
	return errors.As(err, &refusal) && (refusal.Status == http.StatusUnauthorized || refusal.Status == http.StatusForbidden)
}

// markUnhealthy marks the region as unhealthy, so that the sweep does not have makers
// report again now: once a minute while a breaker is not closed, or if a report expired
// and the gateway accepted nothing for a minute. If it fails, the next event retries.
func (d *Deliverer) markUnhealthy(ctx context.Context, h *health, expired bool) {
	now := d.Now()
	marked := h.marked.Load()
	idle := expired && now.UnixNano()-h.acceptedAt.Load() >= int64(unhealthyPause)
	if now.UnixNano()-marked < int64(unhealthyPause) || h.closed() && !idle || !h.marked.CompareAndSwap(marked, now.UnixNano()) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	err := grant.ChangeControl(ctx, d.Store, grant.RegionName(string(h.region)), func(map[string]any) (map[string]any, error) {
		return grant.RegionMark{UnhealthyAt: now}.Document(), nil
	})
	if err != nil {
		h.marked.Store(marked)
		logging.Add(ctx, slog.String("region_error", err.Error()))
	}
}

// throttle tracks the grants that the gateway throttles. One event of such a grant at a
// time waits and is tried; the others are handed back to Pub/Sub.
type throttle struct {
	grants cache.Cache[string, throttled]
}

type throttled struct {
	until time.Time
	taken bool // an event waits, or is in flight
}

// enter admits a new event of a grant, and returns how long it has to wait. An event
// that got the slot has to leave.
func (t *throttle) enter(id string, now time.Time) (wait time.Duration, slot, ok bool) {
	ok = true
	t.grants.Update(id, func(g throttled, known bool) (throttled, bool) {
		if !known {
			return g, false
		}
		pause := g.until.Sub(now)
		if ok = !g.taken && pause <= newcomerPause; ok {
			wait, slot, g.taken = pause, true, true
		}
		return g, true
	})
	return wait, slot, ok
}

// pause notes that a grant is throttled until a time. It returns until when the grant is
// throttled, and whether the event that got this answer has the slot now.
func (t *throttle) pause(id string, until time.Time, slot bool) (time.Time, bool) {
	t.grants.Update(id, func(g throttled, _ bool) (throttled, bool) {
		if until.Before(g.until) {
			until = g.until
		}
		slot = slot || !g.taken
		return throttled{until: until, taken: true}, true
	})
	return until, slot
}

// leave gives back the slot. A grant whose event was accepted is no longer throttled.
func (t *throttle) leave(id string, accepted bool) {
	t.grants.Update(id, func(g throttled, known bool) (throttled, bool) {
		g.taken = false
		return g, known && !accepted
	})
}

// sleep waits for a pause. It returns ErrNoTime as soon as an attempt after the pause
// could not be finished, or would hold up the customer's other grants.
func (s *sending) sleep(ctx context.Context, pause time.Duration) error {
	end := s.d.Now().Add(pause)
	if !wait.HasTime(ctx, pause+attemptTime) || s.first.tooLate(end) {
		return ErrNoTime
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.first.accepted():
		if s.first.tooLate(end) {
			return ErrNoTime
		}
	case <-ctx.Done():
		return fmt.Errorf("waiting to resend: %w", context.Cause(ctx))
	}
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting to resend: %w", context.Cause(ctx))
	}
}

// attemptTime is what one attempt may take, with the notes after it.
const attemptTime = gateway.CallTimeout + time.Second
