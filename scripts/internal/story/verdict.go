package story

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// verdicts has, for each outcome of SendEvent, what it means and what to do.
// functions/TROUBLESHOOTING.md has a section of the same name for each.
var verdicts = map[string]Verdict{
	"accepted": {Arrived: true, Happened: "Alexa accepted it",
		Do: "If the app does not show it, look whether discovery declares the property."},
	"duplicate": {Arrived: true, Happened: "Alexa accepted it before, and it was not sent again",
		Do: "Nothing, unless the publisher gives different events one eventId."},
	"superseded": {Arrived: true, Happened: "a newer report of the same property was accepted before, and this one was not sent",
		Do: "Nothing, unless the device's clock or the order of publishing is wrong."},
	"expired": {Happened: "it was too old when SendEvent could send it",
		Do: "Report the endpoint again when stale asks for it."},
	"suspended": {Happened: "the grant is suspect, and was not to be tried yet",
		Do: "Wait for recovered or revoked, or mend what the grant's reason names and run gatepost grants probe."},
	"behind": {Happened: "another grant of the customer took it, and this one failed",
		Do: "Report the endpoint again when stale asks for it."},
	"unconfirmed": {Happened: "it was sent once and no answer came; it may have arrived, and is not repeated",
		Do: "Nothing."},
	"no_grant": {Happened: "the customer has no grant that the event is for",
		Do: "Compare the userId with the one that linked, or let the customer link."},
	"elsewhere": {Happened: "its attribute region names a region that another stack serves",
		Do: "Look into the log of that stack, or publish without the attribute."},
	"revoked": {Happened: "the customer has unlinked",
		Do: "Stop publishing if no grant is left. The customer can link again."},
	"dead_letter": {Happened: "it can never be delivered as it is",
		Do: "Correct the cause, then replay it with gatepost replay."},
	"retry": {Happened: "it is still being retried",
		Do: "Nothing, unless it lasts."},
}

// retries refines the verdict on an event that is retried, by code.
var retries = map[string]Verdict{
	"REGION_PAUSED": {Happened: "the gateway of the region is unhealthy, and events wait for it",
		Do: "Nothing: they are sent when it recovers."},
	"LOGIN_WITH_AMAZON_PAUSED": {Happened: "Login with Amazon is unhealthy, and the token cannot be refreshed",
		Do: "Nothing: the event is sent when it recovers."},
	"BRAKED": {Happened: "Login with Amazon refuses the token, and the brake is latched", Page: "the-brake-is-latched",
		Do: "Look at gatepost grants brake: find out why that many refreshes are refused."},
	"OTHER_CLIENT": {Happened: "the grant belongs to an LWA client that LWA_CREDENTIALS does not have",
		Do: "Add that client to the secret, newest first."},
	"SUSPECT": {Happened: "the gateway or Login with Amazon has just refused the grant, which is suspect now",
		Do: "Wait: the next attempt tells."},
}

// clientRefused is the verdict while Login with Amazon refuses our client.
var clientRefused = Verdict{
	Name: "client_refused", Page: "our-client-is-refused",
	Happened: "Login with Amazon refuses our client id or secret, so no token can be refreshed",
	Do:       "Add the right secret as the newest version of LWA_CREDENTIALS. No link is lost.",
}

// late is how long after its first publish an event may be accepted without remark. A
// routine has a limit of its own, which Amazon does not publish.
const late = 10 * time.Second

// judge returns the verdict on an event that SendEvent got, by its decisive attempts.
func judge(first, last Entry, known Evidence) Verdict {
	outcome := last.Outcome
	v, ok := verdicts[outcome]
	if !ok {
		happened := "SendEvent could not process it: " + cmp.Or(last.Error, fmt.Sprint(last.Status))
		return Verdict{Name: "failed", Happened: happened, Do: "See the log line.", Page: "no-line"}.finish()
	}
	v.Name, v.Page = outcome, outcome
	switch {
	case outcome == "retry" && refusedClient(last.Error):
		v = clientRefused
	case outcome == "retry" && strings.Contains(last.Error, "login with amazon: refresh"):
		v.Name, v.Happened = "token_not_refreshed", "the access token is no longer valid, and Login with Amazon did not refresh it: "+last.Error
	case outcome == "retry":
		if better, ok := retries[last.Code]; ok {
			better.Name, better.Page = strings.ToLower(last.Code), cmp.Or(better.Page, v.Page)
			v = better
		} else {
			v.Happened += fmt.Sprintf(" after %s: %s", attemptsSo(last), last.cause())
		}
	case outcome == "accepted":
		v.Happened += fmt.Sprintf(" in %s", last.Region)
		if took := last.Time.Sub(first.Published).Round(time.Millisecond); !first.Published.IsZero() {
			v.Happened += fmt.Sprintf(", %v after it was published", took)
			if took > late {
				v.Name = "accepted_late"
				v.Happened += because(first, last)
				v.Do = "Nothing for the state. A routine may not have run."
			}
		}
	case outcome == "no_grant":
		v = noGrant(v, last, known)
	case outcome == "dead_letter":
		v.Happened += fmt.Sprintf(": %s, %s", last.Code, last.Error)
	case outcome == "suspended" || outcome == "revoked":
		v.Happened += known.since(last.GrantID, outcome)
	}
	return v.finish()
}

// since says when and why a grant became suspect or was revoked, if the log or the record
// has it.
func (known Evidence) since(grantID, outcome string) string {
	message := map[string]string{"suspended": "grant suspect", "revoked": "grant revoked"}[outcome]
	for _, e := range slices.Backward(known.Entries) {
		if e.Message == message && e.GrantID == grantID {
			return fmt.Sprintf(", since %s (%s)", e.Time.UTC().Format(time.TimeOnly), e.Reason)
		}
	}
	if g, ok := known.find(grantID); ok && g.State != grant.Active {
		return fmt.Sprintf(", since %s (%s)", g.Since.UTC().Format(time.RFC3339), g.Reason)
	}
	return ""
}

func attemptsSo(e Entry) string {
	if e.Attempt == 1 || e.Attempt == 0 {
		return "one attempt"
	}
	return fmt.Sprintf("%d attempts", e.Attempt)
}

// cause is the code of a failed attempt, or the error if the code says nothing.
func (e Entry) cause() string {
	if e.Code == "" || e.Code == "INTERNAL" {
		return e.Error
	}
	return e.Code
}

// because says why an accepted event was late.
func because(first, last Entry) string {
	switch {
	case first.EventID == last.EventID && !first.Time.Equal(last.Time):
		return fmt.Sprintf(": attempt %d failed with %s", first.Attempt, first.cause())
	case first.AgeMS > float64(slowWait.Milliseconds()):
		return ": it waited in the subscription, for SendEvent or behind an earlier event of its ordering key"
	}
	return ": the gateway was slow"
}

// noGrant tells a wrong region from a wrong or unlinked customer.
func noGrant(v Verdict, last Entry, known Evidence) Verdict {
	v.Happened += ": " + last.Reason
	for _, stack := range slices.Sorted(maps.Keys(known.Records)) {
		if r := known.Records[stack]; r != nil {
			for _, g := range r.Grants {
				v.Name = "wrong_region"
				v.Happened = fmt.Sprintf("its attribute region or its stack is wrong: the customer has linked in %s (%s)", g.Region, stack)
				v.Do = "Publish without the attribute region, or with that of the event linked."
				return v
			}
		}
	}
	if known.Records != nil {
		v.Name = "not_linked"
	}
	return v
}

func tellLetter(l Letter) Story {
	s := Story{EventID: l.EventID, Customer: l.Customer, Endpoint: l.Endpoint, Kind: l.Kind, Verdict: verdicts["dead_letter"]}
	s.Name, s.Page = "dead_letter", "dead_letter"
	s.Happened += fmt.Sprintf(": %s, %s", cmp.Or(l.Code, l.Reason), l.Description)
	s.Links = []Link{
		{Step: "published", At: l.Published, Value: l.Kind},
		{Step: "dead letter", Value: l.Reason, Fault: strings.TrimSpace(l.Code + " " + l.Description)},
	}
	s.Verdict = s.finish()
	return s
}

// tellMissing says why no event was found.
func tellMissing(q Question, known Evidence) Story {
	s := Story{EventID: q.Event, Customer: q.Customer, Endpoint: q.Endpoint}
	s.Links = []Link{{Step: "published", Fault: "no attempt to deliver it is in the log, and no dead letter"}}
	for _, b := range known.Backlog {
		l := Link{Step: "subscription", Value: fmt.Sprintf("%s: %d messages wait", b.Subscription, b.Messages)}
		if b.Messages > 0 && b.Oldest > late {
			l.Fault = fmt.Sprintf("the oldest for %v", b.Oldest.Round(time.Second))
		}
		s.Links = append(s.Links, l)
	}
	if q.Customer != "" {
		s.Links = append(s.Links, customerLink(q.Customer, known))
	}
	s.Verdict = missing(q, known)
	s.Page = "no-line"
	s.Verdict = s.finish()
	return s
}

func missing(q Question, known Evidence) Verdict {
	if !q.To.IsZero() && q.To.Before(known.LogBegan) {
		return Verdict{
			Name: "log_too_old", Happened: fmt.Sprintf("nothing is known: the log begins at %s", known.LogBegan.UTC().Format(time.RFC3339)),
			Do: "Ask about a later time, or keep the log for longer.",
		}
	}
	last := make(map[string]Entry) // of each event of the same endpoint
	for _, e := range known.Entries {
		if e.Function != "SendEvent" || e.Endpoint != q.Endpoint || q.Endpoint == "" {
			continue
		}
		other := q
		other.Customer = ""
		if e.Customer == q.Customer {
			last[e.EventID] = e
		} else if e.Outcome == "no_grant" && other.selects(e) {
			return Verdict{
				Name:     "wrong_user",
				Happened: fmt.Sprintf("an event of the endpoint came with another userId, of the hash %s, who has not linked", e.Customer),
				Do:       "Publish with the userId that your identity provider names when the customer links.",
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(last)) {
		if e := last[id]; e.Decision == "retry" {
			return Verdict{
				Name:     "held_back",
				Happened: fmt.Sprintf("event %s of the same endpoint is retried (%s), and later events of its ordering key wait", id, e.Code),
				Do:       "Ask about event " + id + ".",
			}
		}
	}
	for _, b := range known.Backlog {
		if b.Messages > 0 && known.Now.Add(-b.Oldest).Before(cmp.Or(q.To, known.Now)) && b.Oldest > late {
			return Verdict{
				Name: "waiting", Happened: fmt.Sprintf("it may wait in %s, where %d messages wait", b.Subscription, b.Messages),
				Do: "Look whether SendEvent answers, and raise its instances.",
			}
		}
	}
	return Verdict{
		Name:     "not_published",
		Happened: "Gatepost did not get it: it was not published, or to another project or topic",
		Do:       "Look for the message id in the publisher's log. If log lines of accepted events are excluded, it may be one of those.",
	}
}

// finish makes sentences and a link of a verdict's parts.
func (v Verdict) finish() Verdict {
	if v.Happened != "" {
		v.Happened = strings.ToUpper(v.Happened[:1]) + v.Happened[1:] + "."
	}
	if v.Page != "" && !strings.Contains(v.Page, "#") {
		v.Page = "functions/TROUBLESHOOTING.md#" + v.Page
	}
	return v
}
