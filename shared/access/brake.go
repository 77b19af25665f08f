package access

import (
	"sync"
	"time"
)

// Revoking a grant cannot be undone by the customer's not noticing. When too
// many refreshes are answered with invalid_grant at once, the likelier cause is
// a suspended skill or a wrong secret, and the brake keeps it from unlinking
// everybody.
const (
	brakeWindow  = 10 * time.Minute
	brakeSample  = 20 // refreshes before the share means something
	brakePercent = 10
	brakeSlots   = 10 // the window moves in steps of a minute
)

// brake counts the refreshes of a process over the last ten minutes. The zero
// value is ready.
type brake struct {
	mu    sync.Mutex
	slots [brakeSlots]struct {
		minute       int64
		all, invalid int
	}
}

// count notes the answer to a refresh.
func (b *brake) count(now time.Time, invalid bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	minute := now.Unix() / int64(brakeWindow/brakeSlots/time.Second)
	slot := &b.slots[minute%brakeSlots]
	if slot.minute != minute {
		slot.minute, slot.all, slot.invalid = minute, 0, 0
	}
	slot.all++
	if invalid {
		slot.invalid++
	}
}

// on reports whether invalid_grant is no longer believed.
func (b *brake) on(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	minute := now.Unix() / int64(brakeWindow/brakeSlots/time.Second)
	var all, invalid int
	for _, slot := range b.slots {
		if minute-slot.minute < brakeSlots {
			all, invalid = all+slot.all, invalid+slot.invalid
		}
	}
	return all >= brakeSample && invalid*100 > all*brakePercent
}
