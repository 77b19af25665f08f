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
	attrEventID = "eventId" // the event's identity, when it may be published twice
	// attrPublished and attrReplayedID come with replays of dead letters.
	attrPublished  = "gatepost-published"
	attrReplayedID = "gatepost-event-id"
	attrGrant      = "gatepost-grant" // the one grant that a replay is for
	// attrSourcePublish is what Pub/Sub adds when it moves a message to a
	// dead-letter topic.
	attrSourcePublish = "CloudPubSubDeadLetterSourceTopicPublishTime"
)

// maxEventID is the longest identity a publisher may give, in characters.
const maxEventID = 128

// identity is what makes two deliveries the same event: what the publisher
// says, or else the Pub/Sub message.
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

// firstPublished is when the event was published for the first time, however
// often it was moved or replayed since. Ages count from it, never from a
// device's clock.
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

// addressee is the region that the message is for, empty for all.
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
