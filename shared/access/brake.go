package access

import (
	"sync"
	"time"
)

// A revocation is noticed by nobody until a device stays silent. When too many
// refreshes are answered with invalid_grant at once, the likelier cause is a
// suspended skill or a wrong secret, and the brake keeps it from unlinking
// everybody.
const (
	brakeWindow  = 10 * time.Minute
	brakeSample  = 20 // refreshes before the share means something
	brakePercent = 10
	brakeSlots   = 10 // the window moves in steps of a minute
)

// brake counts the refreshes of a process over the last ten minutes. Once it is
// on it stays on, however much time passes, until a whole sample of refreshes
// has gone well: a storm that is waited out would otherwise take its twenty
// customers again and again. The zero value is ready.
type brake struct {
	mu    sync.Mutex
	slots [brakeSlots]struct {
		minute int64
		share  share
	}
	on    bool
	since share // when it came on, or the last whole sample
}

// share is how many refreshes there were, and how many were refused.
type share struct{ all, invalid int }

func (s *share) add(invalid bool) {
	s.all++
	if invalid {
		s.invalid++
	}
}

func (s share) tooMany() bool { return s.all >= brakeSample && s.invalid*100 > s.all*brakePercent }

// count notes the answer to a refresh, and returns whether invalid_grant is
// not to be believed.
func (b *brake) count(now time.Time, invalid bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	minute := now.Unix() / int64(brakeWindow/brakeSlots/time.Second)
	slot := &b.slots[minute%brakeSlots]
	if slot.minute != minute {
		slot.minute, slot.share = minute, share{}
	}
	slot.share.add(invalid)
	if !b.on {
		b.on, b.since = b.window(minute).tooMany(), share{}
		return b.on
	}
	if b.since.add(invalid); b.since.all >= brakeSample {
		b.on, b.since = b.since.tooMany(), share{}
		if !b.on {
			clear(b.slots[:]) // they are from the storm
		}
	}
	return b.on
}

func (b *brake) window(minute int64) share {
	var sum share
	for _, slot := range b.slots {
		if minute-slot.minute < brakeSlots {
			sum.all, sum.invalid = sum.all+slot.share.all, sum.invalid+slot.share.invalid
		}
	}
	return sum
}
