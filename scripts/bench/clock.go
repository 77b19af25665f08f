package main

import (
	"sync/atomic"
	"time"
)

// clock is a clock that stands still until it is moved, so that an hour of
// tokens' life passes in no time.
type clock struct{ at atomic.Int64 } // microseconds, which is what stores keep

func newClock() *clock {
	c := new(clock)
	c.at.Store(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) now() time.Time { return time.UnixMicro(c.at.Load()).UTC() }

func (c *clock) forward(d time.Duration) { c.at.Add(d.Microseconds()) }
