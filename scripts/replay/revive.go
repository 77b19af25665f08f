package main

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
	// staleDelete is the age from which a DeleteReport is dangerous: the
	// customer may have added the endpoint again since.
	staleDelete = time.Hour
	// usualMaxAge is the default of MAX_EVENT_AGE, from which SendEvent does
	// not send a report any more.
	usualMaxAge = 5 * time.Minute
)

// Why a selected message is not published.
var (
	errStaleDelete = errors.New("DeleteReport older than an hour: needs -force")
	errWrongRegion = errors.New("attribute region names no region: needs -set-region")
)

// refusal is the fate of a message that is not published for err.
func refusal(err error) fate {
	if errors.Is(err, errStaleDelete) {
		return staleDeletes
	}
	return wrongRegions
}

// revival is how dead letters become device events again.
type revival struct {
	force  bool         // DeleteReports of any age
	asNew  bool         // the age counts from the replay
	region alexa.Region // of messages whose own is none, empty to refuse them
}

// revive returns the device event that a dead letter was, addressed to the
// region and the grant it failed for, with the identity and the age it had. The
// message has no ID yet.
func (r revival) revive(l letter, now time.Time) (push.Message, error) {
	if l.kind == "Alexa.Discovery.DeleteReport" && now.Sub(l.published) > staleDelete && !r.force {
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
	// The identity of a letter that has none is its own: were it published twice,
	// because the program crashed before it could acknowledge it, both would
	// still be one event.
	set(attrIdentity, cmp.Or(l.Attributes[attrIdentity], l.Attributes[attrEventID], l.ID))
	if !r.asNew {
		set(attrPublished, alexa.FormatTime(l.published))
	}
	return push.Message{Data: l.Data, Attributes: attributes, OrderingKey: l.OrderingKey}, nil
}

// added reports whether the publisher did not give the attribute. Pub/Sub
// refuses to be given those that begin with goog.
func added(name string) bool {
	return strings.HasPrefix(name, ours) || strings.HasPrefix(name, sources) || strings.HasPrefix(name, "goog")
}

// regionOf is the region to deliver to, empty for all.
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
	if r.region == "" {
		return "", errWrongRegion
	}
	return string(r.region), nil
}

// expires reports whether SendEvent will find the replayed event too old.
// Discovery events never are.
func (r revival) expires(l letter, now time.Time) bool {
	return !r.asNew && now.Sub(l.published) > usualMaxAge && !strings.HasPrefix(l.kind, "Alexa.Discovery.")
}

// filter says which dead letters are meant. The zero filter selects all.
type filter struct {
	reason, code, customer string
	region                 alexa.Region
	since, until           time.Time // first publish times, the first included and the second not
}

func (f filter) selects(l letter) bool {
	return (f.reason == "" || f.reason == l.reason) &&
		(f.code == "" || f.code == l.code) &&
		(f.customer == "" || f.customer == l.customer) &&
		(f.region == "" || string(f.region) == l.region) &&
		(f.since.IsZero() || !l.published.Before(f.since)) &&
		(f.until.IsZero() || l.published.Before(f.until))
}
