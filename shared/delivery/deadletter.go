package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/outcome"
	"github.com/gatepostdev/gatepost/shared/push"
)

// Publisher is a topic.
type Publisher interface {
	Publish(ctx context.Context, data []byte, attributes map[string]string) error
}

// bury publishes a message that can never be delivered to the dead-letter
// topic, if there is one: its own data and attributes, and what an operator has
// to know to mend and replay it. It holds no token, since the message never had
// one. Results other than dead letters stay as they are.
func (d *Deliverer) bury(ctx context.Context, m push.Message, result Result) Result {
	if result.Decision != outcome.DeadLetter || d.DeadLetters == nil {
		return result
	}
	if err := d.DeadLetters.Publish(ctx, m.Data, d.epitaph(m, result)); err != nil {
		return resultOf(result.GrantID, fmt.Errorf("putting a dead letter aside: %w", err))
	}
	return result
}

// epitaph is the attributes of a dead letter.
func (d *Deliverer) epitaph(m push.Message, result Result) map[string]string {
	id, err := identity(m)
	if err != nil {
		id = m.ID
	}
	attributes := theirs(m.Attributes)
	maps.Copy(attributes, map[string]string{
		"gatepost-reason":      string(result.Name),
		"gatepost-code":        result.Code,
		"gatepost-description": description(result.Err),
		"gatepost-customer":    customerOf(m.Data),
		attrGrant:              result.GrantID,
		attrReplayedID:         id,
		attrPublished:          alexa.FormatTime(firstPublished(m, d.Now())),
		"gatepost-attempt":     strconv.Itoa(m.Attempt),
	})
	if region, err := addressee(m); err == nil && region != "" {
		attributes["gatepost-region"] = string(region)
	}
	var refusal *gateway.Error
	if errors.As(result.Err, &refusal) {
		attributes["gatepost-region"] = string(refusal.Region)
	}
	return attributes
}

// theirs is the message's own attributes, of which Pub/Sub takes a hundred: as
// many as there is room for beside ours, the ones with a meaning first.
func theirs(attributes map[string]string) map[string]string {
	const room = 100 - 9
	kept := make(map[string]string)
	for _, name := range append([]string{attrRegion, attrEventID}, slices.Sorted(maps.Keys(attributes))...) {
		if value, ok := attributes[name]; ok && len(kept) < room {
			kept[name] = value
		}
	}
	return kept
}

// description says what is wrong: the gateway's own text, or the field.
func description(err error) string {
	var refusal *gateway.Error
	if errors.As(err, &refusal) && refusal.Description != "" {
		return refusal.Description
	}
	const most = 1024 // the size of an attribute's value in Pub/Sub
	text := err.Error()
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// customerOf is how logs name the customer of an event that may not decode.
func customerOf(data []byte) string {
	var event struct {
		UserID string `json:"userId"`
	}
	if json.Unmarshal(data, &event) != nil || event.UserID == "" {
		return ""
	}
	return grant.CustomerHash(event.UserID)
}
