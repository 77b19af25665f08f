package refreshtokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

const (
	// markMargin is how much earlier than its mark a sweep looks: a record may
	// have become due by the clock of another process.
	markMargin = 10 * time.Minute
	// fullPause is how often a sweep looks at everything all the same.
	fullPause = time.Hour
)

// mark is how far the sweeps of some buckets had come before this one.
type mark struct {
	grant.SweepMark
	stored grant.Control
}

// mark reads the mark of some buckets. Without one the sweep looks at everything.
func (r *run) mark(ctx context.Context, buckets []int) mark {
	name := grant.SweepMarkName(buckets[0], buckets[len(buckets)-1])
	stored, err := r.sweep.Store.ReadControl(ctx, name)
	m := mark{stored: stored}
	m.stored.Name = name
	if err == nil {
		m.SweepMark, err = grant.ParseSweepMark(stored.Document)
	}
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		r.fail(ctx, "mark", slog.LevelWarn, fmt.Errorf("reading the mark: %w", err))
		m.SweepMark = grant.SweepMark{}
	}
	return m
}

// from is where a sweep begins to look, zero for the beginning.
func (m mark) from(started time.Time) time.Time {
	if started.Sub(m.FullAt) >= fullPause {
		return time.Time{}
	}
	return m.From.Add(-markMargin)
}

// moveMark notes that the sweep has come to the end. What stays due must be found
// again.
func (r *run) moveMark(ctx context.Context, m mark) {
	r.mu.Lock()
	next := grant.SweepMark{From: r.started, FullAt: m.FullAt}
	if !r.oldest.IsZero() && r.oldest.Before(next.From) {
		next.From = r.oldest
	}
	for _, f := range r.failed {
		if due := f.record.RefreshDue; due.Before(next.From) {
			next.From = due
		}
	}
	r.mu.Unlock()
	if m.from(r.started).IsZero() {
		next.FullAt = r.started
	}
	_, err := r.sweep.Store.WriteControl(ctx, m.stored, grant.Control{Name: m.stored.Name, Document: next.Document()})
	if err != nil && !errors.Is(err, grant.ErrConflict) { // by another sweep of the same buckets
		r.fail(ctx, "mark", slog.LevelWarn, fmt.Errorf("moving the mark: %w", err))
	}
}

// stays notes that a record stays due.
func (r *run) stays(record grant.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.oldest.IsZero() || record.RefreshDue.Before(r.oldest) {
		r.oldest = record.RefreshDue
	}
}
