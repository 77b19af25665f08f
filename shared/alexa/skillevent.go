package alexa

import (
	"strconv"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// Types of skill events about a link.
const (
	SkillAccountLinked   = "AlexaSkillEvent.SkillAccountLinked"
	SkillAccountUnlinked = "AlexaSkillEvent.SkillAccountUnlinked" // the name is not confirmed
	SkillDisabled        = "AlexaSkillEvent.SkillDisabled"
)

// SkillEvent is an event that Alexa sends to a skill that has subscribed to it: see
// https://developer.amazon.com/docs/smapi/skill-events-in-alexa-skills.html. It has the
// envelope of a custom skill's request, not that of a directive.
type SkillEvent struct {
	Type      string    // request.type, for example SkillDisabled
	RequestID string    // request.requestId, empty if absent
	Created   time.Time // request.eventCreationTime, or request.timestamp; zero if neither can be decoded
	// AmazonUser is context.System.user.userId, Amazon's id of the customer for
	// this skill alone. Directives do not have it, and logs must not show it.
	AmazonUser string
	// AccessToken is request.body.accessToken of SkillAccountLinked: the token
	// that the maker's own OAuth server issued to Alexa.
	AccessToken sensitive.String
}

// DecodeSkillEvent decodes a skill event. It returns a [FieldError] if data is not a
// skill event, or lacks a field that its type needs. Unknown members are ignored. An
// event of any type but the three above is decoded without user and token. Alexa has
// many types with several prefixes, and adds new ones.
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

// withLink returns the event with the user and the token of its link.
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

// textAt decodes a required string at a path of objects. The first name of the path is
// that of raw itself, which is nil if it is missing.
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

// eventTime returns a time in either form that skill events have been seen to use: RFC
// 3339, or milliseconds since 1970. It is zero for any other value, and for a year
// before 1970 or after 9999.
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
