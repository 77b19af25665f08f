package replay

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
)

// Attributes of a device event.
const (
	attrRegion  = "region"
	attrEventID = "eventId"
)

// Attributes that SendEvent adds to a dead letter. It obeys three of them in a replay.
const (
	ours            = "gatepost-"
	attrReason      = ours + "reason"
	attrCode        = ours + "code"
	attrDescription = ours + "description"
	attrCustomer    = ours + "customer"
	attrRefusedBy   = ours + "region"
	attrGrant       = ours + "grant"     // obeyed: the grant that the replay is for
	attrIdentity    = ours + "event-id"  // obeyed: the event's identity
	attrPublished   = ours + "published" // obeyed: the event's first publish time
)

// Attributes that Pub/Sub adds to a message that it moves to a dead-letter topic:
// https://cloud.google.com/pubsub/docs/handling-failures#how_dead_letter_topics_work
const (
	sources         = "CloudPubSubDeadLetterSource"
	attrDeliveries  = sources + "DeliveryCount"
	attrSourceTopic = sources + "TopicPublishTime"
)

// The reasons of dead letters.
const (
	refused     = "dead_letter" // SendEvent's
	undelivered = "undelivered" // Pub/Sub moved it itself after the last delivery attempt
)

// letter is a dead letter.
type letter struct {
	push.Message
	reason, code, description string
	customer                  string // hash, as in logs
	region                    string // that refused it, or that it was for
	published                 time.Time
	kind                      string // namespace and name of the event; empty if unknown
	endpoint                  string
}

// open returns the dead letter that a message is.
func open(m push.Message) letter {
	event := decode(m.Data)
	l := letter{
		Message:     m,
		reason:      m.Attributes[attrReason],
		code:        m.Attributes[attrCode],
		description: m.Attributes[attrDescription],
		customer:    m.Attributes[attrCustomer],
		region:      cmp.Or(m.Attributes[attrRefusedBy], m.Attributes[attrRegion]),
		published:   firstPublished(m),
		kind:        event.kind(),
		endpoint:    cmp.Or(event.Event.Endpoint.EndpointID, event.EndpointID),
	}
	if count := m.Attributes[attrDeliveries]; l.reason == "" && count != "" {
		l.reason = undelivered
		l.description = "not acknowledged in " + count + " deliveries"
	}
	if l.customer == "" && event.UserID != "" {
		l.customer = grant.CustomerHash(event.UserID)
	}
	return l
}

// firstPublished returns when the event was published for the first time.
func firstPublished(m push.Message) time.Time {
	for _, name := range []string{attrPublished, attrSourceTopic} {
		if t, err := alexa.ParseTime(m.Attributes[name]); err == nil {
			return t
		}
	}
	return m.PublishTime
}

// event has the fields of a device event that are shown.
type event struct {
	UserID     string `json:"userId"`
	EndpointID string `json:"endpointId"` // of the short form
	Event      struct {
		Header struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"header"`
		Endpoint struct {
			EndpointID string `json:"endpointId"`
		} `json:"endpoint"`
	} `json:"event"`
}

// decode decodes the valid fields of an event, even if SendEvent could not decode the
// event: they are shown, and a DeleteReport must be recognized.
func decode(data []byte) event {
	var e event
	_ = json.Unmarshal(data, &e) // fills every field but those of a wrong type
	return e
}

func (e event) kind() string {
	header := e.Event.Header
	if header.Namespace == "" && header.Name == "" && e.EndpointID != "" {
		return "Alexa.ChangeReport"
	}
	return strings.Trim(header.Namespace+"."+header.Name, ".")
}
