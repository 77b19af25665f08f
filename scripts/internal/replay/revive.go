package replay

import (
	"cmp"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/push"
)

const (
	// staleDelete is the age from which a DeleteReport is dangerous: the customer may
	// have added the endpoint again since.
	staleDelete = time.Hour
	// usualMaxAge is the default of MAX_EVENT_AGE. SendEvent drops older reports.
	usualMaxAge = 5 * time.Minute
)

// The reasons to refuse a selected message.
var (
	errStaleDelete = errors.New("DeleteReport older than an hour: needs --force")
	errWrongRegion = errors.New("attribute region names no region: needs --set-region")
)

// refusal returns the fate of a message that is refused with err.
func refusal(err error) fate {
	if errors.Is(err, errStaleDelete) {
		return staleDeletes
	}
	return wrongRegions
}

// revive returns a dead letter's device event, addressed to the region and the grant
// that it failed for, with its identity and age. The message has no ID yet.
func (r revival) revive(l letter, now time.Time) (push.Message, error) {
	if l.kind == "Alexa.Discovery.DeleteReport" && now.Sub(l.published) > staleDelete && !r.Force {
		return push.Message{}, errStaleDelete
	}
	region, err := r.regionOf(l)
	if err != nil {
		return push.Message{}, err
	}
	attributes := maps.Clone(l.Attributes)
	if attributes == nil {
		attributes = make(map[string]string)
	}
	maps.DeleteFunc(attributes, func(name, _ string) bool { return added(name) })
	set := func(name, value string) {
		if value != "" {
			attributes[name] = value
		}
	}
	set(attrRegion, region)
	set(attrGrant, l.Attributes[attrGrant])
	// A letter without an identity gets its own ID. If the program crashes before it
	// can acknowledge, and publishes the letter twice, both are still one event.
	set(attrIdentity, cmp.Or(l.Attributes[attrIdentity], l.Attributes[attrEventID], l.ID))
	if !r.AsNew {
		set(attrPublished, alexa.FormatTime(l.published))
	}
	return push.Message{Data: l.Data, Attributes: attributes, OrderingKey: l.OrderingKey}, nil
}

// added reports whether SendEvent or Pub/Sub added the attribute. Pub/Sub refuses
// messages with attributes that begin with goog.
func added(name string) bool {
	return strings.HasPrefix(name, ours) || strings.HasPrefix(name, sources) || strings.HasPrefix(name, "goog")
}

// regionOf returns the region to deliver to, or "" for all.
func (r revival) regionOf(l letter) (string, error) {
	given := l.Attributes[attrRegion]
	if given == "" {
		if region, err := alexa.ParseRegion(l.Attributes[attrRefusedBy]); err == nil {
			return string(region), nil
		}
		return "", nil
	}
	if _, err := alexa.ParseRegion(given); err == nil {
		return given, nil
	}
	if r.SetRegion == "" {
		return "", errWrongRegion
	}
	return string(r.SetRegion), nil
}

// expires reports whether SendEvent will drop the replayed event as expired. Discovery
// events never expire.
func (r revival) expires(l letter, now time.Time) bool {
	return !r.AsNew && now.Sub(l.published) > usualMaxAge && !strings.HasPrefix(l.kind, "Alexa.Discovery.")
}
