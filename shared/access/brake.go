package access

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/wait"
)

// ErrBraked: Login with Amazon refused the refresh, but it is refusing too many
// others to be believed. Nothing was changed. Treat it as an outage of Login with
// Amazon.
var ErrBraked = errors.New("access: the brake is on: too many refreshes are refused to trust a refusal")

// brakePause is the least time between two writes of a process to the brake,
// since Firestore takes about one a second to one document.
const brakePause = time.Second

// Brake gives a process access to the stack's [grant.Brake]. Make one with
// [NewBrake]. It is safe for concurrent use.
type Brake struct {
	store grant.Store
	now   func() time.Time

	turn    chan struct{} // holds one element while a request writes for all waiting requests
	written time.Time     // when the last write began; belongs to the request that has the turn

	mu      sync.Mutex
	waiting []*verdict
}

// NewBrake returns the brake that store holds.
func NewBrake(store grant.Store, now func() time.Time) *Brake {
	return &Brake{store: store, now: now, turn: make(chan struct{}, 1)}
}

// verdict is the brake's answer to one refusal.
type verdict struct {
	revokes  bool // a revocation; false for a grant's first refusal
	admitted bool
	err      error
	done     chan struct{} // closed when the other fields are set
}

// Admit counts the first refusal of a grant, or its revocation if revokes is true,
// before the caller saves it. It returns ErrBraked if the caller must not save it.
// One request writes for all waiting requests, at most once a second.
func (b *Brake) Admit(ctx context.Context, revokes bool) error {
	mine := &verdict{revokes: revokes, done: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, mine)
	b.mu.Unlock()
	select {
	case b.turn <- struct{}{}:
		b.writeBatch(ctx)
	case <-mine.done:
	case <-ctx.Done():
	}
	select {
	case <-mine.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	switch {
	case mine.err != nil:
		return mine.err
	case !mine.admitted:
		return ErrBraked
	}
	return nil
}

// writeTime bounds one write to the brake. Other requests wait for it too.
const writeTime = 3 * time.Second

// writeBatch calls write, and then gives the turn back.
func (b *Brake) writeBatch(ctx context.Context) {
	defer func() { <-b.turn }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), brakePause+writeTime)
	defer cancel()
	b.write(ctx)
}

// write counts the refusals of all waiting requests. The caller has the turn.
func (b *Brake) write(ctx context.Context) {
	_ = wait.For(ctx, b.written.Add(brakePause).Sub(b.now())) // if ctx has ended, the write fails
	b.mu.Lock()
	batch := b.waiting
	b.waiting = nil
	b.mu.Unlock()
	if len(batch) == 0 { // an earlier batch had this request
		return
	}
	b.written = b.now()
	defer func() {
		for _, v := range batch {
			close(v.done)
		}
	}()
	var refused, revoked int
	for _, v := range batch {
		if v.revokes {
			revoked++
		} else {
			refused++
		}
	}
	var mayRefuse, mayRevoke int
	err := b.change(ctx, func(now *grant.Brake) {
		mayRefuse, mayRevoke = now.Admit(refused, revoked, b.now())
	})
	for _, v := range batch {
		left := &mayRefuse
		if v.revokes {
			left = &mayRevoke
		}
		v.err, v.admitted = err, *left > 0
		*left--
	}
}

// Read returns the brake as it is stored.
func (b *Brake) Read(ctx context.Context) (grant.Brake, error) {
	stored, err := b.store.ReadControl(ctx, grant.BrakeName)
	if errors.Is(err, grant.ErrNotFound) {
		return grant.Brake{}, nil
	}
	if err != nil {
		return grant.Brake{}, err
	}
	return grant.ParseBrake(stored.Document)
}

// Latched reads the brake, and reports whether it forbids revocations.
func (b *Brake) Latched(ctx context.Context) (bool, error) {
	now, err := b.Read(ctx)
	return now.Latched(), err
}

// On latches the brake until Off: see [grant.Brake.On].
func (b *Brake) On(ctx context.Context) error {
	return b.change(ctx, func(now *grant.Brake) { now.On(b.now()) })
}

// Off releases the brake for a day: see [grant.Brake.Off].
func (b *Brake) Off(ctx context.Context) error {
	return b.change(ctx, func(now *grant.Brake) { now.Off(b.now()) })
}

// Observe adds the refreshes of a sweep to a latched brake: those that succeeded, and
// those that were refused. It reports whether the caller should log that the brake is
// latched, which is once an hour.
func (b *Brake) Observe(ctx context.Context, good, bad int) (report bool, err error) {
	err = b.change(ctx, func(now *grant.Brake) { report = now.Observe(good, bad, b.now()) })
	return report && err == nil, err
}

// countPause is how often customers are counted. Their number sets the brake's limit.
const countPause = 24 * time.Hour

// CountCustomers counts the stack's customers, at most once a day.
func (b *Brake) CountCustomers(ctx context.Context) error {
	now, err := b.Read(ctx)
	if err != nil || b.now().Sub(now.CountedAt) < countPause {
		return err
	}
	n, err := b.store.CountCustomers(ctx)
	if err != nil {
		return err
	}
	return b.change(ctx, func(now *grant.Brake) { now.Customers, now.CountedAt = n, b.now() })
}

func (b *Brake) change(ctx context.Context, edit func(*grant.Brake)) error {
	return grant.ChangeControl(ctx, b.store, grant.BrakeName, func(doc map[string]any) (map[string]any, error) {
		was, err := grant.ParseBrake(doc)
		if err != nil {
			return nil, err
		}
		now := was
		if edit(&now); now == was {
			return nil, nil
		}
		return now.Document(), nil
	})
}
