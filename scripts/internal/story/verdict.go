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
		Do: "If the app does not show it, check whether discovery declares the property."},
	"duplicate": {Arrived: true, Happened: "Alexa accepted it before, and it was not sent again",
		Do: "Nothing, unless the publisher gives different events the same eventId."},
	"superseded": {Arrived: true, Happened: "a newer report of the same property was accepted before, and this one was not sent",
		Do: "Nothing, unless the device's clock or the order of publishing is wrong."},
	"expired": {Happened: "it was too old by the time SendEvent could send it",
		Do: "Report the endpoint again when stale asks for it."},
	"suspended": {Happened: "it was too early to try the grant again: it is suspect",
		Do: "Wait for recovered or revoked, or fix what the grant's reason names, and run gatepost grants probe."},
	"behind": {Happened: "another grant of the customer accepted it, and this one failed",
		Do: "Report the endpoint again when stale asks for it."},
	"unconfirmed": {Happened: "it was sent once and no answer came; it may have arrived, and is not resent",
		Do: "Nothing."},
	"no_grant": {Happened: "the customer has no grant that the event is for",
		Do: "Compare the userId with the one that linked, or let the customer link."},
	"elsewhere": {Happened: "its attribute region names a region that another stack serves",
		Do: "Look at the log of that stack, or publish without the attribute."},
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
		Do: "Look at gatepost grants brake, and find out why so many refreshes are refused."},
	"OTHER_CLIENT": {Happened: "the grant belongs to an LWA client that LWA_CREDENTIALS does not have",
		Do: "Add that client to the secret, newest first."},
	"SUSPECT": {Happened: "the gateway or Login with Amazon has just refused the grant, which is suspect now",
		Do: "Wait: the next attempt will show."},
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

// ranks orders outcomes: the first that a grant has is the event's.
var ranks = []string{
	"accepted", "duplicate", "superseded", "retry", "dead_letter", "expired", "suspended", "behind", "unconfirmed", "revoked",
	"no_grant", "elsewhere",
}

// judge returns the verdict on an event that SendEvent got, by its branches.
func judge(all []branch, letter *Letter, known Evidence) Verdict {
	all = slices.SortedStableFunc(slices.Values(all), func(a, b branch) int {
		return cmp.Compare(slices.Index(ranks, a.Outcome), slices.Index(ranks, b.Outcome))
	})
	b := all[0]
	v, ok := verdicts[b.Outcome]
	if !ok {
		happened := "SendEvent could not process it: " + cmp.Or(b.last.Error, fmt.Sprintf("status %d", b.last.Status))
		return Verdict{Name: "failed", Happened: happened, Do: "See the log line.", Page: "no-line"}.finish()
	}
	v.Name, v.Page = b.Outcome, b.Outcome
	switch b.Outcome {
	case "accepted":
		v = b.accepted(v)
	case "duplicate":
		v = b.duplicate(v)
	case "retry":
		v = b.retried(letter, known)
	case "expired":
		v = b.expired(v)
	case "no_grant":
		v = b.noGrant(v, known)
	case "dead_letter":
		v.Happened += fmt.Sprintf(": %s, %s", b.Code, b.Error)
	case "suspended", "revoked":
		v.Happened += known.since(b.GrantID, b.Outcome)
	}
	for _, other := range all[1:] {
		if other.GrantID != b.GrantID && !slices.Contains([]string{"accepted", "duplicate", "superseded", "revoked"}, other.Outcome) {
			v.Happened += fmt.Sprintf("; for another grant, in %s: %s", other.Region, other.Outcome)
		}
	}
	return v.finish()
}

// accepted refines the verdict on an event that was late.
func (b branch) accepted(v Verdict) Verdict {
	v.Happened += " in " + b.Region
	first := b.attempts[0]
	if first.Published.IsZero() {
		return v
	}
	took := b.last.Time.Sub(first.Published).Round(time.Millisecond)
	v.Happened += fmt.Sprintf(", %v after it was published", took)
	if took > late {
		v.Name, v.Do = "accepted_late", "Nothing: Alexa has the state. A routine may not have run."
		v.Happened += b.because()
	}
	return v
}

// because says why an event was late.
func (b branch) because() string {
	if failed, ok := b.firstRetry(); ok {
		return fmt.Sprintf(": attempt %d failed with %s", failed.Attempt, failed.cause())
	}
	if wait := milliseconds(b.attempts[0].AgeMS).Round(time.Second); wait > slowWait {
		return fmt.Sprintf(": it waited %v in the subscription, for SendEvent or behind an earlier event of its ordering key", wait)
	}
	return ": the gateway was slow"
}

// firstRetry returns the first attempt that was to be retried: the causes of later ones
// often follow from it.
func (b branch) firstRetry() (Entry, bool) {
	i := slices.IndexFunc(b.attempts, func(e Entry) bool { return e.Decision == "retry" })
	if i < 0 {
		return Entry{}, false
	}
	return b.attempts[i], true
}

// duplicate tells a second delivery of one event from two events with one id.
func (b branch) duplicate(v Verdict) Verdict {
	for _, e := range b.attempts {
		if e.Outcome != "accepted" {
			continue
		}
		if e.Changed != b.last.Changed || e.Kind != b.last.Kind {
			return Verdict{
				Name: "duplicate_id", Page: "duplicate", Happened: "an earlier event had the same eventId, and this one was not sent",
				Do: "Give each event an eventId of its own.",
			}
		}
		accepted := verdicts["accepted"]
		accepted.Name, accepted.Page = "accepted", "accepted"
		return branch{b.attempts, e, e.Result}.accepted(accepted)
	}
	return v
}

// silence is how long after a failed attempt the next one begins at the latest: the
// longest back-off, and the time of an attempt.
const silence = 2 * time.Minute

// retried returns the verdict on an event whose last attempt is to be retried.
func (b branch) retried(letter *Letter, known Evidence) Verdict {
	if letter != nil {
		return letter.verdict()
	}
	v := retryVerdict(b.Result)
	if known.Now.Sub(b.last.Time) > silence {
		v.Happened += "; the log has no line after the attempt at " + b.last.Time.UTC().Format(time.TimeOnly)
		if may, by := known.excluded(); may {
			v.Happened += ", so it waits, or was accepted and its line excluded" + by
		}
	}
	return v
}

// retryVerdict returns why an attempt failed.
func retryVerdict(r Result) Verdict {
	v := verdicts["retry"]
	v.Name, v.Page = "retry", "retry"
	if refusedClient(r.Error) {
		return clientRefused
	}
	if strings.Contains(r.Error, refreshFailed) {
		v.Name, v.Happened = "token_not_refreshed", "the access token is no longer valid, and Login with Amazon did not refresh it: "+r.Error
		return v
	}
	if better, ok := retries[r.Code]; ok {
		better.Name, better.Page = strings.ToLower(r.Code), cmp.Or(better.Page, v.Page)
		return better
	}
	v.Happened += " after " + r.cause()
	return v
}

// expired says what made the event too old.
func (b branch) expired(v Verdict) Verdict {
	failed, ok := b.firstRetry()
	if !ok {
		v.Happened += b.because()
		return v
	}
	cause := retryVerdict(failed.Result)
	if cause.Name == "retry" {
		cause.Happened = "attempts failed with " + failed.cause()
	}
	v.Happened += "; before that, " + cause.Happened
	v.Do, v.Page = cause.Do+" "+v.Do, cause.Page
	return v
}

// cause is the code of a failed attempt, or the error if the code says nothing.
func (r Result) cause() string {
	if r.Code == "" || r.Code == "INTERNAL" {
		return r.Error
	}
	return r.Code
}

// since says when and why a grant became suspect or was revoked, if the log or the record
// has it.
func (known Evidence) since(grantID, outcome string) string {
	message := map[string]string{"suspended": "grant suspect", "revoked": "grant revoked"}[outcome]
	for _, e := range slices.Backward(known.Entries) {
		if e.Message == message && e.GrantID == grantID {
			return fmt.Sprintf(", since %s (%s)", e.Time.UTC().Format(time.DateTime), e.Reason)
		}
	}
	if g, ok := known.find(grantID); ok && g.State != grant.Active {
		return fmt.Sprintf(", since %s (%s)", g.Since.UTC().Format(time.DateTime), g.Reason)
	}
	return ""
}

// noGrant tells a wrong region from a customer who has not linked. The region of the line
// is the event's attribute, if it has one.
func (b branch) noGrant(v Verdict, known Evidence) Verdict {
	v.Happened += ": " + b.Reason
	if strings.Contains(b.Reason, "the replay") {
		v.Do = "Nothing: the customer has linked again, and the new grant gets later events."
		return v
	}
	published := cmp.Or(b.last.Published, b.last.Time)
	for _, stack := range slices.Sorted(maps.Keys(known.Records)) {
		r := known.Records[stack]
		if r == nil {
			continue
		}
		for _, g := range activeFirst(r.Grants) {
			switch {
			case g.State == grant.Revoked:
				v.Name, v.Happened = "unlinked", fmt.Sprintf("the customer unlinked at %s", g.Since.UTC().Format(time.DateTime))
				v.Do = "Stop publishing, or let the customer link again."
			case g.CreatedAt.After(published):
				v.Name = "linked_later"
				v.Happened = fmt.Sprintf("the customer linked only later, at %s", g.CreatedAt.UTC().Format(time.DateTime))
				v.Do = "Report all endpoints after linked."
			case b.Region == string(g.Region):
			case b.Region == "":
				v.Name = "line_missing"
				v.Happened = fmt.Sprintf("the customer has linked in %s, and the line of its stack (%s) is missing", g.Region, stack)
				if may, by := known.excluded(); may {
					v.Happened += ", or excluded from the log" + by
				}
				v.Do = "Look at the log of that stack."
				return v
			default:
				v.Name = "wrong_region"
				v.Happened = fmt.Sprintf("its attribute region is wrong: the customer has linked in %s (%s)", g.Region, stack)
				v.Do = "Publish without the attribute region, or with that of the event linked."
				return v
			}
		}
	}
	if known.Records != nil && v.Name == "no_grant" && !known.Incomplete {
		v.Name = "not_linked"
	}
	return v
}

func activeFirst(grants map[string]grant.Grant) []grant.Grant {
	return slices.SortedFunc(maps.Values(grants), func(a, b grant.Grant) int {
		rank := map[bool]int{true: 0, false: 1}
		return cmp.Or(cmp.Compare(rank[a.State == grant.Active], rank[b.State == grant.Active]), a.CreatedAt.Compare(b.CreatedAt))
	})
}

func (l Letter) link() Link {
	return Link{Step: "dead letter", Value: l.Reason, Fault: strings.TrimSpace(l.Code + " " + l.Description)}
}

func (l Letter) verdict() Verdict {
	v := verdicts["dead_letter"]
	v.Name, v.Page = "dead_letter", "dead_letter"
	v.Happened += fmt.Sprintf(": %s, %s", cmp.Or(l.Code, l.Reason), l.Description)
	return v
}

func tellLetter(l Letter) Story {
	return Story{
		EventID: l.EventID, Customer: l.Customer, Endpoint: l.Endpoint, Kind: l.Kind, Verdict: l.verdict().finish(),
		Links: []Link{{Step: "published", At: l.Published, Value: l.Kind}, l.link()},
	}
}

// tellMissing says why no event was found.
func tellMissing(q Question, known Evidence) Story {
	s := Story{EventID: q.Event, Customer: q.Customer, Endpoint: q.Endpoint}
	s.Links = []Link{{Step: "published", Fault: "the log has no attempt to deliver it"}}
	for _, b := range known.Backlog {
		l := Link{Step: "subscription", Value: fmt.Sprintf("%s: %d messages wait", b.Subscription, b.Messages)}
		if b.Messages > 0 && b.Oldest > silence {
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
	for _, stack := range slices.Sorted(maps.Keys(known.Deliveries)) {
		if known.Deliveries[stack].State == grant.Sent {
			return Verdict{
				Name: "done", Do: "Look at the customer's record with gatepost grants show.",
				Happened: fmt.Sprintf("the delivery record in %s says that SendEvent is done with it, but not whether Alexa accepted it", stack),
			}
		}
	}
	if cmp.Or(q.To, known.Now).Before(known.LogBegan) {
		return Verdict{
			Name: "log_too_old", Happened: fmt.Sprintf("nothing is known: the log begins at %s", known.LogBegan.UTC().Format(time.DateTime)),
			Do: "Ask about a later time, or keep the log for longer.",
		}
	}
	if v, ok := heldBack(q, known); ok {
		return v
	}
	if v, ok := wrongUser(q, known); ok {
		return v
	}
	if v, ok := undecoded(q, known); ok {
		return v
	}
	for _, b := range known.Backlog {
		if b.Messages > 0 && b.Oldest > silence && known.Now.Add(-b.Oldest).Before(cmp.Or(q.To, known.Now)) {
			return Verdict{
				Name: "waiting", Happened: fmt.Sprintf("it may wait in %s, where %d messages wait", b.Subscription, b.Messages),
				Do: "Check whether SendEvent answers, and allow it more instances.",
			}
		}
	}
	v := Verdict{
		Name: "not_published", Happened: "Gatepost did not get it" + q.window(known) +
			": it was not published, or it was published to another project or topic",
		Do: "Look for the message id in the publisher's log.",
	}
	if known.LogBegan.IsZero() {
		v.Do += " How long the log keeps lines could not be read: the event may be older than the log."
	}
	if q.From.Before(known.LogBegan) && (q.Event != "" || !q.From.IsZero()) {
		v.Name = "not_in_log"
		v.Happened = fmt.Sprintf("the log begins at %s, and has nothing of it since: it was published before, or not at all, "+
			"or to another project or topic", known.LogBegan.UTC().Format(time.DateTime))
	}
	if may, by := known.excluded(); by != "" {
		v.Name = "not_logged"
		v.Happened = "the log does not have it" + q.window(known) + ": it was not published, or its line is excluded from the log" + by
	} else if may {
		v.Do += " If log lines of accepted events are excluded, it may be one of those."
	}
	return v
}

// excluded reports whether the log may lack a line, and names its exclusions if they are
// known.
func (known Evidence) excluded() (may bool, by string) {
	if len(known.Exclusions) > 0 {
		by = ", by " + strings.Join(known.Exclusions, " or ")
	}
	return known.Exclusions == nil || by != "", by
}

// window names the time that was searched.
func (q Question) window(known Evidence) string {
	from := q.From
	if from.Before(known.LogBegan) {
		from = known.LogBegan
	}
	if from.IsZero() {
		return ""
	}
	return fmt.Sprintf(" from %s to %s", from.UTC().Format(time.DateTime), cmp.Or(q.To, known.Now).UTC().Format(time.DateTime))
}

// heldBack looks for an event of the endpoint that is retried still.
func heldBack(q Question, known Evidence) (Verdict, bool) {
	last := make(map[string]Entry)
	for _, e := range known.Entries {
		if e.Function == "SendEvent" && q.Endpoint != "" && e.Endpoint == q.Endpoint && e.Customer == q.Customer {
			last[e.EventID] = e
		}
	}
	for _, id := range slices.Sorted(maps.Keys(last)) {
		if e := last[id]; e.Decision == "retry" {
			return Verdict{
				Name:     "held_back",
				Happened: fmt.Sprintf("event %s of the same endpoint is retried (%s), and later events of its ordering key wait", id, e.cause()),
				Do:       "Ask about event " + id + ".",
			}, true
		}
	}
	return Verdict{}, false
}

// wrongUser looks for an event of the endpoint for a customer whom no stack knows.
func wrongUser(q Question, known Evidence) (Verdict, bool) {
	strangers := make(map[string]string) // customers by event
	for _, e := range known.Entries {
		other := q
		other.Customer = ""
		if e.Function != "SendEvent" || q.Endpoint == "" || e.Customer == q.Customer || e.Customer == "" || !other.selects(e) {
			continue
		}
		id := e.Customer + " " + e.EventID
		if _, seen := strangers[id]; !seen {
			strangers[id] = e.Customer
		}
		if !strings.Contains(e.Reason, "no customer with this userId") {
			strangers[id] = "" // a stack knows the customer
		}
	}
	for _, id := range slices.Sorted(maps.Keys(strangers)) {
		if customer := strangers[id]; customer != "" {
			return Verdict{
				Name: "wrong_user",
				Happened: fmt.Sprintf("perhaps with another userId: an event of such an endpoint came for the customer with the hash %s, "+
					"who has not linked", customer),
				Do: "Publish with the userId that your identity provider names when the customer links.",
			}, true
		}
	}
	return Verdict{}, false
}

// undecoded looks for events that could not be decoded, so their customer is not known.
func undecoded(q Question, known Evidence) (Verdict, bool) {
	unnamed := Question{Event: q.Event, From: q.From, To: q.To}
	var found []string
	for _, e := range known.Entries {
		if e.Function == "SendEvent" && e.Outcome == "dead_letter" && e.Customer == "" && unnamed.selects(e) {
			found = append(found, fmt.Sprintf("%s (%s)", e.EventID, e.Error))
		}
	}
	if len(found) == 0 {
		return Verdict{}, false
	}
	return Verdict{
		Name: "undecoded",
		Happened: "perhaps it could not be decoded, like these events, whose customer is unknown: " +
			strings.Join(found[:min(len(found), few)], ", "),
		Do: "Compare the message ids with those in the publisher's log, and ask about the event with --event.",
	}, true
}

// few is how many events a sentence lists.
const few = 5

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
