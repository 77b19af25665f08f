package refreshtokens

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/wait"
)

const (
	concurrency = 16 // customers refreshed at a time by one shard, when all is well
	// A sweep judges Login with Amazon by its latest answers. With more than
	// slowPercent of them failures it works on fewer customers at a time, and
	// with half of them it ends: those who are due are due at the next sweep,
	// and whoever gets an event meanwhile is refreshed on demand.
	window      = 40
	sample      = 20 // answers before the share means something
	slowPercent = 10
	illPercent  = 50
	// mostRest is the longest that a sweep waits out of a Retry-After. The second
	// that is longer ends it: one may be about one grant.
	mostRest = 5 * time.Second
)

// pace decides how many customers a sweep works on at a time, and when it
// leaves Login with Amazon alone. Several goroutines may use it.
type pace struct {
	mu      sync.Mutex
	free    sync.Cond // signalled whenever another customer may be begun
	running int
	answers [window]bool // true for a failure
	seen    int
	until   time.Time // no refresh before, says Login with Amazon
	long    int       // how often it wanted more than that
	verdict error
}

func newPace() *pace {
	p := new(pace)
	p.free.L = &p.mu
	return p
}

// anew is a pace that knows of no failure, and how long Login with Amazon wants
// to be left alone.
func (p *pace) anew() *pace {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := newPace()
	next.until = p.until
	return next
}

// begin waits until another customer may be worked on. It returns an error if
// ctx ends while Login with Amazon wants to be left alone.
func (p *pace) begin(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for p.running >= p.width() {
			p.free.Wait()
		}
		rest := time.Until(p.until)
		if rest <= 0 || p.verdict != nil {
			p.running++
			return nil
		}
		p.mu.Unlock()
		err := wait.For(ctx, rest)
		p.mu.Lock()
		if err != nil {
			return err
		}
	}
}

// end notes that a customer is done with.
func (p *pace) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	p.free.Broadcast()
}

// well notes an answer of Login with Amazon.
func (p *pace) well() { p.note(false) }

// unwell notes a failure, and ends the sweep if there are too many.
func (p *pace) unwell(err error) {
	p.note(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	var refused *lwa.Error
	if errors.As(err, &refused) && refused.RetryAfter > 0 {
		p.until = time.Now().Add(min(refused.RetryAfter, mostRest))
		if refused.RetryAfter > mostRest {
			p.long++
		}
		if p.long > 1 && p.verdict == nil {
			p.verdict = fmt.Errorf("%w: it wants to be left alone for %v: %w", errIll, refused.RetryAfter, err)
		}
	}
	if p.seen >= sample && p.failing() >= illPercent && p.verdict == nil {
		p.verdict = fmt.Errorf("%w: %w", errIll, err)
	}
}

func (p *pace) note(failure bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[p.seen%window] = failure
	p.seen++
	p.free.Broadcast()
}

// ill says why the sweep must end, nil if it need not.
func (p *pace) ill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.verdict
}

// slowed reports whether too many answers are failures for them to be the
// grants' own.
func (p *pace) slowed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failing() > slowPercent
}

// failing is the share of failures among the latest answers, in percent. The
// caller holds the lock.
func (p *pace) failing() int {
	n := min(p.seen, window)
	if n == 0 {
		return 0
	}
	failures := 0
	for _, failure := range p.answers[:n] {
		if failure {
			failures++
		}
	}
	return failures * 100 / n
}

// width is how many customers are worked on at a time: fewer, the more answers
// are failures, down to one. The caller holds the lock.
func (p *pace) width() int {
	failing := p.failing()
	if failing <= slowPercent {
		return concurrency
	}
	return max(1, concurrency*(illPercent-failing)/illPercent)
}
