package alexa

import (
	"strconv"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// Types of skill events that say something about a link.
const (
	SkillAccountLinked   = "AlexaSkillEvent.SkillAccountLinked"
	SkillAccountUnlinked = "AlexaSkillEvent.SkillAccountUnlinked" // the name is not confirmed
	SkillDisabled        = "AlexaSkillEvent.SkillDisabled"
)

// SkillEvent is what Alexa sends to a skill that has subscribed to events, see
// https://developer.amazon.com/docs/smapi/skill-events-in-alexa-skills.html.
// It has the envelope of a custom skill's request, which no directive has.
type SkillEvent struct {
	Type      string    // request.type, for example SkillDisabled
	RequestID string    // request.requestId, empty if absent
	Created   time.Time // request.eventCreationTime, or request.timestamp; zero if neither can be read
	// AmazonUser is context.System.user.userId, Amazon's id of the customer for
	// this skill alone; it is in no directive. Logs must not show it.
	AmazonUser string
	// AccessToken is request.body.accessToken of SkillAccountLinked: the token
	// that the maker's own OAuth server has given to Alexa.
	AccessToken sensitive.String
}

// DecodeSkillEvent reads a skill event. It returns a [FieldError] for what is
// none, or lacks what its type is good for. Members it does not know are
// ignored, and so is all but the head of an event of another type than the
// three above: Alexa has many, not all with one prefix, and adds some.
func DecodeSkillEvent(data []byte) (SkillEvent, error) {
	doc, err := document(data)
	if err != nil {
		return SkillEvent{}, err
	}
	var context, request []byte
	if err := pick(doc, ignore, member{"context", &context}, member{"request", &request}); err != nil {
		return SkillEvent{}, err
	}
	if request == nil {
		return SkillEvent{}, wrong("request", "missing")
	}
	e, body, err := decodeSkillRequest(request)
	if err != nil {
		return SkillEvent{}, in("request", err)
	}
	switch e.Type {
	case SkillAccountLinked, SkillAccountUnlinked, SkillDisabled:
		return e.withLink(context, body)
	}
	return e, nil
}

func decodeSkillRequest(raw []byte) (e SkillEvent, body []byte, err error) {
	var typ, id, timestamp, created []byte
	err = pick(raw, ignore, member{"type", &typ}, member{"requestId", &id}, member{"timestamp", &timestamp},
		member{"eventCreationTime", &created}, member{"body", &body})
	if err != nil {
		return SkillEvent{}, nil, err
	}
	if e.Type, err = required("type", typ); err != nil {
		return SkillEvent{}, nil, err
	}
	if e.RequestID, err = optional("requestId", id); err != nil {
		return SkillEvent{}, nil, err
	}
	if e.Created = eventTime(created); e.Created.IsZero() {
		e.Created = eventTime(timestamp)
	}
	return e, body, nil
}

// withLink adds whose link the event is about.
func (e SkillEvent) withLink(context, body []byte) (SkillEvent, error) {
	user, err := textAt(context, "context", "System", "user", "userId")
	if err != nil {
		return SkillEvent{}, err
	}
	e.AmazonUser = user
	if e.Type != SkillAccountLinked {
		return e, nil
	}
	token, err := textAt(body, "body", "accessToken")
	if err != nil {
		return SkillEvent{}, in("request", err)
	}
	e.AccessToken = sensitive.New(token)
	return e, nil
}

// textAt decodes a string that must be there, at a path of objects. The first
// name of the path is that of raw itself, which is nil if it is missing.
func textAt(raw []byte, path ...string) (string, error) {
	for i, name := range path[1:] {
		if raw == nil {
			break
		}
		var next []byte
		if err := pick(raw, ignore, member{name, &next}); err != nil {
			return "", in(strings.Join(path[:i+1], "."), err)
		}
		raw = next
	}
	return required(strings.Join(path, "."), raw)
}

// eventTime reads a time as skill events have been seen to write it: RFC 3339,
// or milliseconds since 1970. It is zero for what is neither, or so far away
// that it cannot be meant.
func eventTime(raw []byte) time.Time {
	if raw == nil {
		return time.Time{}
	}
	t, err := decodeTime("", raw)
	if ms, notNumber := strconv.ParseInt(string(raw), 10, 64); notNumber == nil {
		t, err = time.UnixMilli(ms), nil
	}
	if year := t.UTC().Year(); err != nil || year < 1970 || year > 9999 {
		return time.Time{}
	}
	return t.UTC()
}
