package breaker

import (
	"slices"
	"time"
)

const (
	// ringSize holds 5 s of attempts at 800 a second, so an attempt is
	// still there when it has been unanswered for that long. A ring costs a
	// healthy attempt one write; only a failure reads it.
	ringSize = 4096

	unanswered = 5 * time.Second  // after which a pending attempt counts as bad
	recent     = 10 * time.Second // after which a result no longer counts

	sampleGrants = 50 // the most grants in a sample
	enoughGrants = 10 // with fewer bad grants the breaker stays closed
	enoughTrials = 3  // the same while half-open
	half         = 2  // the breaker opens at one bad grant in half

	// answersPerPending is how many grants need an answer for each pending
	// attempt among them. With fewer the sample is biased, see ring.count.
	answersPerPending = 3
)

// result is the state of an attempt.
type result uint8

const (
	pending result = iota
	answeredGood
	answeredBad
	canceled
)

// ring holds the latest attempts in the order in which they began. Attempts are
// numbered from 1, and no number is reused.
type ring struct {
	entries [ringSize]entry
	first   uint64 // attempts before it began before the breaker opened
	next    uint64 // number of the next attempt
	tail    uint64 // no attempt before it is pending and still in the ring
}

type entry struct {
	grant  uint64        // hash
	at     time.Duration // when the attempt began or, unless it is pending, when its result became known
	result result
}

// reset drops every attempt.
func (r *ring) reset() {
	r.next = max(r.next, 1)
	r.first, r.tail = r.next, r.next
}

func (r *ring) entry(number uint64) *entry { return &r.entries[number%ringSize] }

// oldest returns the number of the oldest attempt in the ring.
func (r *ring) oldest() uint64 { return max(r.first, r.next-min(r.next, ringSize)) }

func (r *ring) add(grant uint64, now time.Duration) (number uint64) {
	number = r.next
	*r.entry(number) = entry{grant, now, pending}
	r.next++
	r.tail = max(r.tail, r.oldest())
	return number
}

// record records the result of a pending attempt. It returns false if the attempt
// is no longer in the ring, or already counts as bad because it was unanswered for
// too long: a late answer does not change that.
func (r *ring) record(number uint64, res result, now time.Duration) bool {
	e := r.entry(number)
	if number < r.oldest() || e.result != pending {
		return false
	}
	e.result, e.at = res, now
	return true
}

// expire marks attempts as bad that are unanswered for too long, and reports
// whether there were any. It visits each attempt once: O(1) a call, amortized.
func (r *ring) expire(now time.Duration) (expired bool) {
	for ; r.tail < r.next; r.tail++ {
		e := r.entry(r.tail)
		if e.result != pending {
			continue
		}
		if now-e.at < unanswered {
			break
		}
		// The result counts from now. A process whose callers all wait for 20 s
		// calls expire only when the first of them returns; results dated back to
		// 5 s after the attempt would then be too old to count.
		e.result, e.at = answeredBad, now
		expired = true
	}
	return expired
}

// count returns the number of grants, up to sampleGrants, that got an answer since
// the given time, and for how many of them the latest was bad. The latest is the
// answer to the attempt that began last.
//
// A pending attempt counts neither way. But where many are pending, the others are
// a biased sample: a service that throttles a tenth of the grants refuses these in
// 20 ms and serves the rest in 300 ms, so the latest answers are all refusals. The
// sample therefore starts before such a stretch.
func (r *ring) count(since time.Duration) (grants, bad int) {
	var seen [sampleGrants]uint64
	waiting := 0
	for n := r.next; n > r.oldest() && grants < sampleGrants; {
		n--
		e := r.entry(n)
		switch {
		case e.result == canceled || e.at < since || slices.Contains(seen[:grants], e.grant):
		case e.result == pending:
			if waiting++; answersPerPending*waiting > grants {
				grants, bad, waiting = 0, 0, 0
			}
		default:
			seen[grants] = e.grant
			grants++
			if e.result == answeredBad {
				bad++
			}
		}
	}
	return grants, bad
}
