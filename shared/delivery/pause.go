package delivery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/outcome"
)

const (
	// resends is how often Amazon wants an event sent again, at most, and
	// leastPause how long it wants to be left alone in between.
	// https://developer.amazon.com/docs/smarthome/send-events.html
	resends    = 3
	leastPause = time.Second
	mostPause  = time.Minute // that a Retry-After is believed

	// A region in which many grants are throttled within a short time is
	// throttled itself; one chatty customer is not a region.
	regionGrants = 10
	regionWindow = 10 * time.Second
	regionPause  = 5 * time.Second

	pausesKept = 10_000 // grants whose pause a process remembers
)

// pauses remembers which grants and regions want to be left alone.
type pauses struct {
	mu      sync.Mutex
	grants  *lru.Cache[string, time.Time]
	regions map[alexa.Region]*regionState
}

// regionState is which grants of a region were throttled lately.
type regionState struct {
	until     time.Time
	throttled map[string]time.Time
}

func newPauses() *pauses {
	grants, _ := lru.New[string, time.Time](pausesKept) // fails for sizes below 1 only
	return &pauses{grants: grants, regions: make(map[alexa.Region]*regionState)}
}

// until returns when a grant's gateway may be called again.
func (p *pauses) until(region alexa.Region, id string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	until, _ := p.grants.Get(id)
	if r := p.regions[region]; r != nil && r.until.After(until) {
		return r.until
	}
	return until
}

// note learns from the answer to an attempt.
func (p *pauses) note(region alexa.Region, id string, err error, now time.Time) {
	if err == nil {
		return
	}
	var refusal *gateway.Error
	if !errors.As(err, &refusal) {
		return
	}
	throttled := errors.Is(err, gateway.ErrThrottled) || refusal.Status == http.StatusServiceUnavailable
	if !throttled && refusal.RetryAfter == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	wanted := min(refusal.RetryAfter, mostPause)
	if until, _ := p.grants.Get(id); now.Add(max(wanted, leastPause)).After(until) {
		p.grants.Add(id, now.Add(max(wanted, leastPause)))
	}
	if !throttled {
		return
	}
	r := p.regions[region]
	if r == nil {
		r = &regionState{throttled: make(map[string]time.Time)}
		p.regions[region] = r
	}
	for other, at := range r.throttled {
		if now.Sub(at) > regionWindow {
			delete(r.throttled, other)
		}
	}
	r.throttled[id] = now
	if len(r.throttled) >= regionGrants {
		r.until = now.Add(regionPause)
	}
}

// rest waits. It returns outcome.ErrNoTime at once if no attempt could be
// finished after that.
func rest(ctx context.Context, pause time.Duration) error {
	if !timeFor(ctx, pause) {
		return outcome.ErrNoTime
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting to send again: %w", context.Cause(ctx))
	}
}

// attemptTime is what one attempt may need, with what has to be noted after it.
const attemptTime = gateway.CallTimeout + time.Second

// timeFor reports whether an attempt that begins after the given pause can be
// finished before ctx ends.
func timeFor(ctx context.Context, pause time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) >= pause+attemptTime
}
