package story

import (
	"cmp"
	"fmt"
	"time"
)

// Call is a request that an attempt to deliver an event made.
type Call struct {
	To         Callee
	At         time.Time
	Took       time.Duration
	Status     int // 0 without an answer
	Code       string
	RetryAfter time.Duration
}

// Callee is what a call was for.
type Callee string

// The callees. Store is the database of grants.
const (
	Store   Callee = "customer"
	Login   Callee = "token"
	Gateway Callee = "gateway"
)

// pause is the shortest time between two calls that is shown as a wait.
const pause = 100 * time.Millisecond

// timeline returns the links of attempts whose calls are known: each with its time, and
// the waits between them.
func timeline(attempts []Entry, known Evidence) []Link {
	first := attempts[0]
	wait := waited(first)
	if !first.Published.IsZero() {
		wait.At, wait.TookMS = first.Published, first.AgeMS
	}
	links := []Link{published(first), wait}
	for i, e := range attempts {
		if i > 0 {
			links = append(links, during("redelivery", attempts[i-1].Time, e.begin().Sub(attempts[i-1].Time), "waited in Pub/Sub"))
		}
		l := attempt(e)
		l.At, l.TookMS = e.begin(), e.TookMS
		links = append(links, l)
		links = append(links, e.callLinks(known.Calls(e))...)
	}
	return links
}

func during(step string, at time.Time, took time.Duration, value string) Link {
	return Link{Step: step, At: at, TookMS: float64(took.Microseconds()) / 1000, Value: value}
}

// callLinks returns the links of an attempt's calls. What an attempt had in memory made
// no call.
func (e Entry) callLinks(calls []Call) []Link {
	var links []Link
	called := make(map[Callee]*Call)
	for _, c := range calls {
		if c.To == Gateway && called[Store] == nil && called[Gateway] == nil {
			links = append(links, during(string(Store), e.begin(), 0, "remembered"))
		}
		if c.To == Gateway && called[Login] == nil && called[Gateway] == nil {
			links = append(links, during(string(Login), c.At, 0, "cached"))
		}
		if before := called[Gateway]; c.To == Gateway && before != nil {
			if since := before.At.Add(before.Took); c.At.Sub(since) > pause {
				links = append(links, during("wait", since, c.At.Sub(since), "before the next try"))
			}
		}
		links = append(links, c.link())
		called[c.To] = &c
	}
	return links
}

func (c Call) link() Link {
	l := during(string(c.To), c.At, c.Took, "record read")
	switch {
	case c.To == Login:
		l.Value = "refreshed"
	case c.To == Gateway:
		l.Value = fmt.Sprint(c.Status)
	}
	if c.To != Store && c.Status/100 != 2 {
		l.Value, l.Fault = fmt.Sprint(c.Status), cmp.Or(c.Code, "refused")
	}
	if c.To != Store && c.Status == 0 {
		l.Value, l.Fault = "", "no answer"
	}
	if c.RetryAfter > 0 {
		l.Value += fmt.Sprintf(", Retry-After %v", c.RetryAfter)
	}
	return l
}
