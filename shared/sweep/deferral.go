package sweep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// deferral holds the grants that a sweep could not refresh. It is safe for
// concurrent use.
type deferral struct {
	mu     sync.Mutex
	failed []failure // not yet put off
	oldest time.Time // the earliest due time of the records that stay due; the start at the latest
}

// failure is a grant that could not be refreshed.
type failure struct {
	record grant.Record
	id     string
	own    bool // the cause is the grant, and not the health of Login with Amazon
}

func (d *deferral) add(f failure) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = append(d.failed, f)
}

// stays notes that a record stays due, so that the next sweep begins early enough
// to find it.
func (d *deferral) stays(record grant.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if record.RefreshDue.Before(d.oldest) {
		d.oldest = record.RefreshDue
	}
}

// earliest returns the due time from which the next sweep must look, to find what
// stays due and what failed and was not put off.
func (d *deferral) earliest() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	earliest := d.oldest
	for _, f := range d.failed {
		if due := f.record.RefreshDue; due.Before(earliest) {
			earliest = due
		}
	}
	return earliest
}

// has reports whether a grant of the record has failed and waits to be put off.
func (d *deferral) has(record grant.Record) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.failed, func(f failure) bool { return f.record.Key() == record.Key() })
}

// blameGrants notes that all failures so far are the grants' own.
func (d *deferral) blameGrants() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.failed {
		d.failed[i].own = true
	}
}

// putOff postpones failed grants, which costs a write for each. It runs after the
// sweep's workers have ended.
func (p *pass) putOff(ctx context.Context) {
	// Until a refresh has succeeded, the configuration may be at fault and every
	// customer affected: that must not cost a write for each.
	if !p.breaker.everWell {
		return
	}
	d := &p.deferral
	failed := d.failed
	d.failed = nil
	for i, f := range failed {
		// For the same reason a grant stays where it is if Login with Amazon
		// failed it while failing many.
		if !f.own && p.breaker.failing() > slowPercent {
			d.stays(f.record)
			continue
		}
		if err := p.putOffOne(ctx, f); err != nil {
			p.tally.fail(ctx, "putting_off", slog.LevelWarn, err)
			for _, f := range failed[i:] {
				d.stays(f.record)
			}
			return
		}
	}
}

// putOffOne backs a grant off, unless it was refreshed or put off in the
// meantime.
func (p *pass) putOffOne(ctx context.Context, f failure) error {
	from := f.record.Grants[f.id]
	_, err := grant.Change(ctx, p.Store, f.record.Key(), func(now *grant.Record) error {
		if g, ok := now.Grants[f.id]; ok && g.TokenVersion == from.TokenVersion && g.RefreshDue.Equal(from.RefreshDue) {
			now.RefreshFailed(f.id, p.started)
		}
		return nil
	})
	return err
}

const (
	// markMargin is how much earlier than its mark a sweep looks: a record may
	// have become due by the clock of another process.
	markMargin = 10 * time.Minute
	// fullPause is how often a sweep ignores its mark and looks at everything: a
	// record may have been stored with a due time in the past.
	fullPause = time.Hour
)

// mark is the due time up to which earlier sweeps of some buckets have come.
// Without it, each sweep would have to skip all index entries that refreshes have
// deleted recently.
type mark struct {
	grant.SweepMark
	stored grant.Control
}

// readMark reads the mark of some buckets. Without one the sweep looks at
// everything, which costs time and misses nothing.
func (p *pass) readMark(ctx context.Context, buckets []int) mark {
	name := grant.SweepMarkName(buckets[0], buckets[len(buckets)-1])
	stored, err := p.Store.ReadControl(ctx, name)
	m := mark{stored: stored}
	m.stored.Name = name
	if err == nil {
		m.SweepMark, err = grant.ParseSweepMark(stored.Document)
	}
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		p.tally.fail(ctx, "mark", slog.LevelWarn, fmt.Errorf("reading the mark: %w", err))
		m.SweepMark = grant.SweepMark{}
	}
	return m
}

// from returns the due time at which a sweep begins to look; zero is the
// beginning.
func (m mark) from(started time.Time) time.Time {
	if started.Sub(m.FullAt) >= fullPause {
		return time.Time{}
	}
	return m.From.Add(-markMargin)
}

// moveMark saves the mark after a walk that has reached the end.
func (p *pass) moveMark(ctx context.Context, m mark) {
	next := grant.SweepMark{From: p.deferral.earliest(), FullAt: m.FullAt}
	if m.from(p.started).IsZero() {
		next.FullAt = p.started
	}
	_, err := p.Store.WriteControl(ctx, m.stored, grant.Control{Name: m.stored.Name, Document: next.Document()})
	if err != nil && !errors.Is(err, grant.ErrConflict) { // with another sweep of the same buckets
		p.tally.fail(ctx, "mark", slog.LevelWarn, fmt.Errorf("moving the mark: %w", err))
	}
}
