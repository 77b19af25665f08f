package simulator

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// Request is one request as the record keeps it. It holds no token, code or
// client secret.
type Request struct {
	Seq    int64        `json:"seq"`  // 1, 2, 3… as they were answered
	Time   time.Time    `json:"time"` // of arrival
	Target Target       `json:"target"`
	Region alexa.Region `json:"region,omitempty"` // of the gateway, or of the code or token shown to Login with Amazon
	User   string       `json:"user,omitempty"`   // the Amazon user whose token or code it carried
	Client string       `json:"client,omitempty"` // the client id, for Login with Amazon

	Namespace        string `json:"namespace,omitempty"`
	Name             string `json:"name,omitempty"`
	MessageID        string `json:"messageId,omitempty"`
	CorrelationToken string `json:"correlationToken,omitempty"`
	EndpointID       string `json:"endpointId,omitempty"`
	// Body is the body with its secrets replaced by "[redacted]"; of a form,
	// the field names.
	Body string `json:"body,omitempty"`

	// Status is what was answered, 0 when the connection was closed instead,
	// and Code the error code in the answer.
	Status int    `json:"status"`
	Code   string `json:"code,omitempty"`
	// Reason says in the simulator's own words why it refused: the wire only
	// carries what Amazon would say.
	Reason string `json:"reason,omitempty"`
	// Accepted is set when the simulator did what was asked: took the event,
	// issued tokens, told whose a token is. A fault may still have lost the
	// answer.
	Accepted bool `json:"accepted"`
	Scripted bool `json:"scripted,omitempty"` // a fault had a hand in it
	// RotatedAway is set for a refresh with a token that another had taken the
	// place of.
	RotatedAway bool `json:"rotatedAway,omitempty"`
}

// Counts are totals since the start. Unlike the record they forget nothing.
type Counts struct {
	Exchanges int64 `json:"exchanges"` // codes exchanged
	Refreshes int64 `json:"refreshes"` // refreshes carried out
	// RotatedAway counts refreshes tried with a refresh token that another had
	// taken the place of, whether or not its grace allowed them.
	RotatedAway int64 `json:"rotatedAway"`
	LWARefused  int64 `json:"lwaRefused"` // requests to Login with Amazon that got nothing
	Accepted    int64 `json:"accepted"`   // events taken
	Refused     int64 `json:"refused"`    // events not taken
	Scripted    int64 `json:"scripted"`   // requests that met a fault
	Dropped     int64 `json:"dropped"`    // requests the record no longer holds
}

// maxKeptBytes bounds the bodies in the record, whatever their number.
const maxKeptBytes = 64 << 20

// journal is the record and the counts.
type journal struct {
	keep int

	mu     sync.Mutex
	kept   []Request // oldest first
	bytes  int       // of the bodies kept
	seq    int64
	counts Counts
	change chan struct{} // closed at the next accepted event, nil when nobody waits
}

func newJournal(keep int) *journal { return &journal{keep: max(keep, 0)} }

// add records a request.
func (j *journal) add(seen Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	seen.Seq = j.seq
	j.count(seen)
	j.kept = append(j.kept, seen)
	j.bytes += len(seen.Body)
	for len(j.kept) > j.keep || j.bytes > maxKeptBytes {
		j.bytes -= len(j.kept[0].Body)
		j.kept[0] = Request{}
		j.kept = j.kept[1:]
		j.counts.Dropped++
	}
}

// count adds a request to the totals, and wakes who waits for an event.
func (j *journal) count(seen Request) {
	c := &j.counts
	if seen.Scripted {
		c.Scripted++
	}
	if seen.RotatedAway {
		c.RotatedAway++
	}
	switch {
	case seen.Target.isGateway() && seen.Accepted:
		c.Accepted++
		if j.change != nil {
			close(j.change)
			j.change = nil
		}
	case seen.Target.isGateway():
		c.Refused++
	case !seen.Accepted:
		c.LWARefused++
	case seen.Target == Exchange:
		c.Exchanges++
	case seen.Target == Refresh:
		c.Refreshes++
	}
}

// since copies the recorded requests after seq that want says yes to.
func (j *journal) since(seq int64, want func(Request) bool) []Request {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []Request
	for _, seen := range j.kept {
		if seen.Seq > seq && want(seen) {
			found = append(found, seen)
		}
	}
	return found
}

// Requests returns the record, oldest first.
func (s *Simulator) Requests() []Request {
	return s.journal.since(0, func(Request) bool { return true })
}

// Events returns the recorded events for one region's gateway, accepted or
// not, oldest first.
func (s *Simulator) Events(region alexa.Region) []Request {
	return s.journal.since(0, func(r Request) bool { return r.Target == Gateway(region) })
}

// LWARequests returns the recorded requests to Login with Amazon, oldest first.
func (s *Simulator) LWARequests() []Request {
	return s.journal.since(0, func(r Request) bool { return !r.Target.isGateway() })
}

// Counts returns the totals.
func (s *Simulator) Counts() Counts {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return s.journal.counts
}

// WaitAccepted returns when n events have been accepted since the start, in
// all regions together, or with an error when ctx ends first.
func (s *Simulator) WaitAccepted(ctx context.Context, n int) error {
	for {
		accepted, change := s.journal.watch()
		if accepted >= int64(n) {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d accepted events, %d so far: %w", n, accepted, context.Cause(ctx))
		}
	}
}

// watch returns the number of accepted events, and a channel that is closed
// when it grows.
func (j *journal) watch() (int64, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.change == nil {
		j.change = make(chan struct{})
	}
	return j.counts.Accepted, j.change
}
