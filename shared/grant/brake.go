package grant

import (
	"fmt"
	"time"
)

// Brake keeps an error of Login with Amazon, or of ours, from unlinking many
// customers. It is one document for a stack, since each process sees only a few
// of the customers.
//
// It counts first refusals and revocations by the hour. When either would exceed
// [Brake.Limit] in this hour and the last together, the brake latches: no grant is
// revoked until the sweeps' refreshes succeed again, or an operator releases it.
type Brake struct {
	Hour        time.Time // the current hour
	Refused     int       // grants whose first refusal was in that hour
	Revoked     int
	LastRefused int // the counts of the hour before
	LastRevoked int

	Customers int // of the stack, counted once a day
	CountedAt time.Time

	LatchedAt time.Time // zero: released
	ByHand    bool      // an operator latched it, and only an operator releases it
	OffUntil  time.Time // an operator released it: it does not latch before this time

	// The sweeps' refreshes since Since, while it is latched.
	Since     time.Time
	Good, Bad int

	ReportedAt time.Time // when it was last logged that it is latched
}

const (
	// minLimit is the limit for a small stack.
	minLimit = 5
	// A latched brake is released after brakeTrial in which goodRefreshes succeeded
	// for each refresh that was refused.
	brakeTrial    = 2 * time.Hour
	goodRefreshes = 9
	// brakeOff is how long an operator's release lasts.
	brakeOff = 24 * time.Hour
	// brakeReport is how often it is logged that the brake is latched.
	brakeReport = time.Hour
)

// Latched reports whether no grant may be revoked.
func (b Brake) Latched() bool { return !b.LatchedAt.IsZero() }

// Limit returns how many first refusals, or revocations, this hour and the last may
// have: five, or one for each hundred customers if that is more.
func (b Brake) Limit() int { return max(minLimit, b.Customers/100) }

// At returns the brake with its counts moved on to the hour of now.
func (b Brake) At(now time.Time) Brake {
	b.roll(now)
	return b
}

// Admit counts first refusals and revocations that are about to be saved, and
// returns how many of each are allowed. The brake latches if some are not.
func (b *Brake) Admit(refused, revoked int, now time.Time) (mayRefuse, mayRevoke int) {
	b.roll(now)
	if b.Latched() {
		return 0, 0
	}
	mayRefuse, mayRevoke = refused, revoked
	if !now.Before(b.OffUntil) {
		mayRefuse = max(0, min(refused, b.Limit()-b.Refused-b.LastRefused))
		mayRevoke = max(0, min(revoked, b.Limit()-b.Revoked-b.LastRevoked))
	}
	b.Refused, b.Revoked = b.Refused+mayRefuse, b.Revoked+mayRevoke
	if mayRefuse < refused || mayRevoke < revoked {
		b.latch(now)
	}
	return mayRefuse, mayRevoke
}

// Observe adds the refreshes of a sweep to a latched brake, and releases it when
// nine of ten succeeded for two hours. It reports whether it is time to log that
// the brake is latched.
func (b *Brake) Observe(good, bad int, now time.Time) (report bool) {
	if !b.Latched() {
		return false
	}
	b.Good, b.Bad = b.Good+good, b.Bad+bad
	if now.Sub(b.Since) >= brakeTrial {
		if !b.ByHand && b.Good > 0 && b.Good >= goodRefreshes*b.Bad {
			b.release()
			return false
		}
		b.Since, b.Good, b.Bad = now, 0, 0
	}
	if now.Sub(b.ReportedAt) < brakeReport {
		return false
	}
	b.ReportedAt = now
	return true
}

// On latches the brake until [Brake.Off].
func (b *Brake) On(now time.Time) {
	b.latch(now)
	b.ByHand = true
}

// Off releases the brake. It does not latch again for a day.
func (b *Brake) Off(now time.Time) {
	b.release()
	b.OffUntil = now.Add(brakeOff)
}

func (b *Brake) latch(now time.Time) {
	b.LatchedAt, b.Since, b.Good, b.Bad = now, now, 0, 0
}

// release also clears the counts, or the brake would latch again at once.
func (b *Brake) release() {
	*b = Brake{Customers: b.Customers, CountedAt: b.CountedAt}
}

// roll moves the counts on to the hour of now. A process whose clock is behind
// counts for the hour of the others.
func (b *Brake) roll(now time.Time) {
	hour := now.UTC().Truncate(time.Hour)
	if !hour.After(b.Hour) {
		return
	}
	b.LastRefused, b.LastRevoked = 0, 0
	if hour.Equal(b.Hour.Add(time.Hour)) {
		b.LastRefused, b.LastRevoked = b.Refused, b.Revoked
	}
	b.Hour, b.Refused, b.Revoked = hour, 0, 0
}

// Document returns the brake as the document of a [Control].
func (b Brake) Document() map[string]any { return encode(brakeFields, &b) }

// ParseBrake is the inverse of [Brake.Document], under the rules of [ParseRecord].
func ParseBrake(doc map[string]any) (Brake, error) {
	var b Brake
	if err := decode("", brakeFields, doc, &b); err != nil {
		return Brake{}, err
	}
	return b, nil
}

var brakeFields = []field[Brake]{
	moment(func(b *Brake) *time.Time { return &b.Hour }, "hour"),
	number(func(b *Brake) *int { return &b.Refused }, "refused"),
	number(func(b *Brake) *int { return &b.Revoked }, "revoked"),
	number(func(b *Brake) *int { return &b.LastRefused }, "lastRefused"),
	number(func(b *Brake) *int { return &b.LastRevoked }, "lastRevoked"),
	number(func(b *Brake) *int { return &b.Customers }, "customers"),
	moment(func(b *Brake) *time.Time { return &b.CountedAt }, "countedAt"),
	moment(func(b *Brake) *time.Time { return &b.LatchedAt }, "latchedAt"),
	flag(func(b *Brake) *bool { return &b.ByHand }, "byHand"),
	moment(func(b *Brake) *time.Time { return &b.OffUntil }, "offUntil"),
	moment(func(b *Brake) *time.Time { return &b.Since }, "since"),
	number(func(b *Brake) *int { return &b.Good }, "good"),
	number(func(b *Brake) *int { return &b.Bad }, "bad"),
	moment(func(b *Brake) *time.Time { return &b.ReportedAt }, "reportedAt"),
}

// Control is one of the few documents that the processes of a stack share. Its
// fields are strings, int64, bools and times; none is nested.
type Control struct {
	Name     string         // document id
	Document map[string]any // from the Document method of its type
	Revision Revision       // set by the store, zero for one that is not stored
}

// BrakeName is the name of the [Brake].
const BrakeName = "brake"

// SweepMark records how far the sweeps of some buckets have come, so that the next
// one need not skip the index entries that they have left behind. See
// https://cloud.google.com/firestore/docs/best-practices, "Avoid skipping over
// deleted data".
type SweepMark struct {
	From   time.Time // no work of a sweep was due before
	FullAt time.Time // when a sweep last read all due records, without a lower bound
}

// SweepMarkName returns the name of the mark of the buckets from first to last.
func SweepMarkName(first, last int) string { return fmt.Sprintf("sweep-%03d-%03d", first, last) }

// Document returns the mark as the document of a [Control].
func (m SweepMark) Document() map[string]any { return encode(sweepMarkFields, &m) }

// ParseSweepMark is the inverse of [SweepMark.Document], under the rules of
// [ParseRecord].
func ParseSweepMark(doc map[string]any) (SweepMark, error) {
	var m SweepMark
	if err := decode("", sweepMarkFields, doc, &m); err != nil {
		return SweepMark{}, err
	}
	return m, nil
}

var sweepMarkFields = []field[SweepMark]{
	moment(func(m *SweepMark) *time.Time { return &m.From }, "from"),
	moment(func(m *SweepMark) *time.Time { return &m.FullAt }, "fullAt"),
}
