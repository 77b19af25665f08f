package delivery

import (
	"time"
	"unicode/utf8"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/push"
)

// Attributes of a message on the device-events topic.
const (
	attrRegion  = "region"  // NA, EU or FE: only that stack delivers the event
	attrEventID = "eventId" // the event's identity, for an event that may be published twice
	// attrPublished and attrReplayedID are set by replays of dead letters.
	attrPublished  = "gatepost-published"
	attrReplayedID = "gatepost-event-id"
	attrGrant      = "gatepost-grant" // the one grant that a replay is for
	// attrSourcePublish is set by Pub/Sub when it forwards a message to a dead-letter
	// topic.
	attrSourcePublish = "CloudPubSubDeadLetterSourceTopicPublishTime"
)

// maxEventID is the longest identity a publisher may give, in characters.
const maxEventID = 128

// identity returns the event's identity, the same for all its deliveries: the
// publisher's, or else the id of the Pub/Sub message.
func identity(m push.Message) (string, error) {
	for _, name := range []string{attrReplayedID, attrEventID} {
		id := m.Attributes[name]
		if utf8.RuneCountInString(id) > maxEventID {
			return "", &alexa.FieldError{Path: "attribute " + name, Problem: "longer than 128 characters"}
		}
		if id != "" {
			return id, nil
		}
	}
	return m.ID, nil
}

// firstPublished returns when the event was first published, before it was forwarded
// or replayed. Ages count from it, never from a device's clock.
func firstPublished(m push.Message, now time.Time) time.Time {
	for _, name := range []string{attrPublished, attrSourcePublish} {
		text := m.Attributes[name]
		if text == "" {
			continue
		}
		if t, err := alexa.ParseTime(text); err == nil {
			return t
		}
	}
	if m.PublishTime.IsZero() {
		return now
	}
	return m.PublishTime
}

// addressee returns the region that the message is for, empty for all.
func addressee(m push.Message) (alexa.Region, error) {
	name, ok := m.Attributes[attrRegion]
	if !ok || name == "" {
		return "", nil
	}
	region, err := alexa.ParseRegion(name)
	if err != nil {
		return "", ErrUnknownRegion
	}
	return region, nil
}
