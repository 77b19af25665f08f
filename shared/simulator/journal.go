package simulator

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// Request is one recorded request. It holds no token, code or client secret.
type Request struct {
	Seq    int64        `json:"seq"`  // 1, 2, 3…, in the order of the answers
	Time   time.Time    `json:"time"` // of arrival
	Target Target       `json:"target"`
	Region alexa.Region `json:"region,omitempty"` // of the gateway, or of the code or token sent to Login with Amazon
	User   string       `json:"user,omitempty"`   // the Amazon user of its token or code
	Client string       `json:"client,omitempty"` // the client id, for Login with Amazon

	Namespace        string `json:"namespace,omitempty"`
	Name             string `json:"name,omitempty"`
	MessageID        string `json:"messageId,omitempty"`
	CorrelationToken string `json:"correlationToken,omitempty"`
	EndpointID       string `json:"endpointId,omitempty"`
	// Body is the body with its secrets replaced by "[redacted]". The body of a
	// form has the field names, and no values but grant_type and client_id.
	Body string `json:"body,omitempty"`

	// Status is the answer's status, 0 if the connection was closed instead.
	// Code is the error code in the answer.
	Status int    `json:"status"`
	Code   string `json:"code,omitempty"`
	// Reason is the simulator's own reason for a refusal: the answer has only
	// Amazon's text.
	Reason string `json:"reason,omitempty"`
	// Accepted is set if the request succeeded: the simulator accepted the event,
	// issued tokens, or described a token. A fault may still have lost the answer.
	Accepted bool `json:"accepted"`
	Scripted bool `json:"scripted,omitempty"` // a fault applied
	// Answer is the body of a gateway's answer, RetryAfter its header in seconds, and
	// Took how long the answer took, in milliseconds.
	Answer     string  `json:"answer,omitempty"`
	RetryAfter int     `json:"retryAfter,omitempty"`
	Took       float64 `json:"tookMs,omitempty"`
	// RotatedAway is set for a refresh with a token that was rotated before.
	RotatedAway bool `json:"rotatedAway,omitempty"`
}

// Counts are totals since the start. Unlike the record they are never dropped.
type Counts struct {
	Exchanges int64 `json:"exchanges"` // successful exchanges
	Refreshes int64 `json:"refreshes"` // successful refreshes
	// RotatedAway counts refreshes with a refresh token that was rotated before,
	// whether or not the grace allowed them.
	RotatedAway int64 `json:"rotatedAway"`
	LWARefused  int64 `json:"lwaRefused"` // requests to Login with Amazon that failed
	Accepted    int64 `json:"accepted"`   // accepted events
	Refused     int64 `json:"refused"`    // refused events
	Scripted    int64 `json:"scripted"`   // requests to which a fault applied
	Dropped     int64 `json:"dropped"`    // requests dropped from the record
}

// maxKeptBytes bounds the total size of the bodies in the record.
const maxKeptBytes = 64 << 20

// journal is the record and the counts.
type journal struct {
	keep int

	mu     sync.Mutex
	kept   []Request // oldest first
	bytes  int       // of the bodies kept
	seq    int64
	counts Counts
	change chan struct{} // closed at the next accepted event, nil if no call waits
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

// count adds a request to the totals, and wakes calls that wait for an event.
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

// since returns a copy of the recorded requests after seq for which want returns true.
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

// WaitAccepted waits until n events have been accepted since the start, in all regions
// together. It returns an error if ctx ends first.
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
