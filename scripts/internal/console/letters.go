package console

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/push"
)

// maxLetters is how many dead letters are kept.
const maxLetters = 500

// letter is a dead letter.
type letter struct {
	ID          string            `json:"id"`
	EventID     string            `json:"eventId"`
	At          time.Time         `json:"at"`
	Customer    string            `json:"customer"` // userId
	Endpoint    string            `json:"endpoint"`
	What        string            `json:"what"`
	Region      string            `json:"region"`
	Reason      string            `json:"reason"`
	Code        string            `json:"code"`
	Description string            `json:"description"`
	Attributes  map[string]string `json:"attributes"`
	Data        any               `json:"data"`
	Replays     []string          `json:"replays"` // ids of the messages

	message push.Message
}

// AddLetter adds a dead letter.
func (c *Console) AddLetter(m push.Message) {
	of := func(name string) string { return m.Attributes["gatepost-"+name] }
	e := decode(m.Data)
	l := &letter{
		ID: m.ID, EventID: cmp.Or(of("event-id"), m.Attributes["eventId"]), At: m.PublishTime,
		Customer: clean(e.UserID), Endpoint: clean(e.endpoint()), What: e.summary(),
		Region: cmp.Or(of("region"), m.Attributes["region"]), Reason: of("reason"), Code: of("code"),
		Description: of("description"), Attributes: cleanAll(m.Attributes), Data: shown(m.Data), Replays: []string{}, message: m,
	}
	if l.Reason == "" {
		l.Reason, l.Description = "undelivered", "given up by Pub/Sub after the last attempt"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.letters = append(c.letters, l)
	if len(c.letters) > maxLetters {
		c.letters = c.letters[1:]
	}
}

// listLetters returns the dead letters, the newest first.
func (c *Console) listLetters(*http.Request) (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []letter{}
	for i := len(c.letters) - 1; i >= 0; i-- {
		all = append(all, *c.letters[i])
	}
	return map[string]any{"letters": all}, nil
}

// replay publishes the event of a dead letter again, for the grant that it failed for,
// with its identity. Its age counts from now, or a replay by hand would mostly be too
// late.
func (c *Console) replay(r *http.Request) (any, error) {
	c.mu.Lock()
	var found *letter
	for _, l := range c.letters {
		if l.ID == r.PathValue("id") {
			found = l
		}
	}
	c.mu.Unlock()
	if found == nil {
		return nil, errNotFound
	}
	attributes := maps.Clone(found.message.Attributes)
	maps.DeleteFunc(attributes, func(name, _ string) bool {
		return strings.HasPrefix(name, "gatepost-") && name != "gatepost-grant" && name != "gatepost-event-id" ||
			strings.HasPrefix(name, "CloudPubSub") || strings.HasPrefix(name, "goog")
	})
	if attributes["region"] == "" {
		if region, err := alexa.ParseRegion(found.Region); err == nil {
			attributes["region"] = string(region)
		}
	} else if _, err := alexa.ParseRegion(attributes["region"]); err != nil {
		return nil, errors.New("its attribute region names no region: edit it and send it again")
	}
	answer, err := c.send(r, push.Message{Data: found.message.Data, Attributes: attributes, OrderingKey: found.message.OrderingKey})
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		found.Replays = append(found.Replays, answer.(map[string]string)["id"])
	}
	return answer, err
}
