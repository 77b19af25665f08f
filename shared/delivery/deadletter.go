package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
)

// DeadLetters is the dead-letter topic.
type DeadLetters interface {
	PublishOrdered(ctx context.Context, orderingKey string, data []byte, attributes map[string]string) error
}

// deadLetter publishes a message that can never be delivered to the dead-letter topic,
// if there is one: its data and attributes, and what an operator needs to repair and
// replay it. A token that the publisher sent by mistake is redacted. Results other
// than dead letters are returned as they are.
func (d *Deliverer) deadLetter(ctx context.Context, m push.Message, result Result) Result {
	if result.Decision != DeadLetter || d.DeadLetters == nil {
		return result
	}
	if err := d.DeadLetters.PublishOrdered(ctx, m.OrderingKey, WithoutTokens(m.Data), d.deadLetterAttributes(m, result)); err != nil {
		return result.withError(fmt.Errorf("publishing a dead letter: %w", err))
	}
	return result
}

var (
	// token is what Amazon's tokens look like, even where a character is escaped.
	token = regexp.MustCompile(`Atz[ar](?:\||%7[Cc]|\\u007[Cc])[^"\s\\]*`)
	// member is a member of an event that no publisher may send, in what is not
	// JSON as a whole. Its value is cut up to the next quotation mark.
	member = regexp.MustCompile(`("(?i:token|scope)"\s*:\s*)"[^"]*"?`)
)

const cutOut = "[redacted]"

// WithoutTokens returns an event without the members "scope", wherever they are,
// and without what looks like a token of Amazon's. An event that has neither is
// returned as it is.
func WithoutTokens(data []byte) []byte {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var event any
	if err := decoder.Decode(&event); err != nil || decoder.InputOffset() < int64(len(bytes.TrimSpace(data))) {
		data = member.ReplaceAll(data, []byte(`$1"`+cutOut+`"`))
		return token.ReplaceAll(data, []byte(cutOut))
	}
	event, changed := redact(event)
	if !changed {
		return data
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(event) // it was decoded
	return bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}

// redact cuts the members "scope" and all tokens out of a decoded value, and
// reports whether there were any.
func redact(value any) (clean any, changed bool) {
	switch v := value.(type) {
	case string:
		clean := token.ReplaceAllLiteralString(v, cutOut)
		return clean, clean != v
	case map[string]any:
		for name, inner := range v {
			if strings.EqualFold(name, "scope") {
				delete(v, name)
				changed = true
				continue
			}
			cleanName := token.ReplaceAllLiteralString(name, cutOut)
			cleanInner, c := redact(inner)
			if c || cleanName != name {
				delete(v, name)
				v[cleanName] = cleanInner
				changed = true
			}
		}
	case []any:
		for i, inner := range v {
			cleanInner, c := redact(inner)
			v[i] = cleanInner
			changed = changed || c
		}
	}
	return value, changed
}

// deadLetterAttributes returns the attributes of a dead letter.
func (d *Deliverer) deadLetterAttributes(m push.Message, result Result) map[string]string {
	id, err := identity(m)
	if err != nil {
		id = m.ID
	}
	attributes := publisherAttributes(m.Attributes)
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
	for name, value := range attributes {
		attributes[name] = token.ReplaceAllLiteralString(value, cutOut)
	}
	return attributes
}

// publisherAttributes returns the message's own attributes. Pub/Sub allows a hundred:
// those with a meaning come first, and the others as long as there is room beside
// Gatepost's.
func publisherAttributes(attributes map[string]string) map[string]string {
	const room = 100 - 9
	kept := make(map[string]string)
	for _, name := range append([]string{attrRegion, attrEventID}, slices.Sorted(maps.Keys(attributes))...) {
		if value, ok := attributes[name]; ok && len(kept) < room {
			kept[name] = value
		}
	}
	return kept
}

// description returns what is wrong: the gateway's text, or the field.
func description(err error) string {
	var refusal *gateway.Error
	if errors.As(err, &refusal) && refusal.Description != "" {
		return refusal.Description
	}
	const most = 1024 // the size of an attribute's value in Pub/Sub
	text := err.Error()
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// customerOf returns the hash of the customer of an event that may not decode.
func customerOf(data []byte) string {
	var event struct {
		UserID string `json:"userId"`
	}
	if json.Unmarshal(data, &event) != nil || event.UserID == "" {
		return ""
	}
	return grant.CustomerHash(event.UserID)
}
