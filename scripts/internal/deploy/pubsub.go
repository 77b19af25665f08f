package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// topics are the shared ones, and those of the stacks.
func (d *deployment) topics() []resource {
	all := []resource{
		d.topic(grantEvents, 7*day, ""), // a subscription made later can seek back
		d.topic(deadLetters, 0, ""),
		d.topic(refreshDeadLetters, 0, ""),
	}
	if !d.settings.regionalTopic {
		all = append(all, d.topic(deviceEvents, 0, ""))
	}
	for _, one := range d.stacks {
		all = append(all, d.topic(one.refreshTopic(), 0, ""))
		if d.settings.regionalTopic {
			all = append(all, d.topic(d.settings.deviceEventsTopic(one), 0, one.location))
		}
	}
	return all
}

// topic keeps its messages for so many seconds, 0 for not at all, and in the
// location only, "" for wherever.
func (d *deployment) topic(name string, retention int, location string) resource {
	have, exists := d.have.topics[name]
	r := resource{
		name: "topic " + name, exists: exists,
		create: []string{"pubsub", "topics", "create", name},
		update: []string{"pubsub", "topics", "update", name},
	}
	if retention > 0 {
		r.facets = append(r.facets, facet{
			what: "retention", flags: []string{set("message-retention-duration", seconds(retention))},
			want: seconds(retention), have: have.MessageRetentionDuration,
		})
	}
	if location != "" {
		r.facets = append(r.facets, facet{
			what: "storage", flags: []string{set("message-storage-policy-allowed-regions", location)},
			want: location, have: strings.Join(have.MessageStoragePolicy.AllowedPersistenceRegions, ","),
		})
	}
	return r
}

// subscription is what is wanted of one. Whatever is not in here is the same
// for all.
type subscription struct {
	name, topic string
	retention   int // seconds
	minBackoff  int
	maxBackoff  int
	push        string // URL; "" for a subscription that is pulled
	account     string // that pushes
	deadLetters string // topic; "" for none
	attempts    int    // after which a message is a dead letter
	filter      string
	ordered     bool
}

// subscriptions are those that keep dead letters, which have none of their own
// so that reading loses no letter, and each stack's two.
func (d *deployment) subscriptions() []subscription {
	all := []subscription{
		{name: deadLetters, topic: deadLetters, retention: 7 * day, minBackoff: 10, maxBackoff: 600},
		{name: refreshDeadLetters, topic: refreshDeadLetters, retention: 7 * day, minBackoff: 10, maxBackoff: 600},
	}
	for _, one := range d.stacks {
		all = append(all, subscription{
			name: one.named(deviceEvents), topic: d.settings.deviceEventsTopic(one), retention: 7 * day, minBackoff: 5, maxBackoff: 60,
			push: one.url("SendEvent"), account: one.named("push-sendevent"), deadLetters: deadLetters, attempts: 100, filter: filter(one.region), ordered: true,
		}, subscription{
			// A shard message older than one period is acknowledged unworked, and
			// more attempts than ten do not happen in the time that it is kept.
			name: one.refreshTopic(), topic: one.refreshTopic(), retention: 10 * minute, minBackoff: 5, maxBackoff: 60,
			push: one.url("RefreshShard"), account: one.named("push-refreshshard"), deadLetters: refreshDeadLetters, attempts: 10,
		})
	}
	return all
}

// filter leaves out the other two Alexa regions, whatever stacks there are:
// an event without the attribute, or with a misspelt one, reaches all.
func filter(region string) string {
	var terms []string
	for _, other := range []string{"EU", "FE", "NA"} {
		if other != region {
			terms = append(terms, fmt.Sprintf(`NOT attributes.region = "%s"`, other))
		}
	}
	return strings.Join(terms, " AND ")
}

func (d *deployment) subscriptionResources() []resource {
	var all []resource
	for _, want := range d.subscriptions() {
		have, exists := d.have.subscriptions[want.name]
		all = append(all, resource{
			name: "subscription " + want.name, exists: exists,
			create: []string{"pubsub", "subscriptions", "create", want.name},
			update: []string{"pubsub", "subscriptions", "update", want.name},
			facets: slices.Concat(d.timing(want, have), d.pushing(want, have)),
		})
	}
	return all
}

// timing is what all subscriptions have.
func (d *deployment) timing(want subscription, have listedSubscription) []facet {
	topic := "projects/" + d.settings.projectID + "/topics/" + want.topic
	backoff := []string{set("min-retry-delay", seconds(want.minBackoff)), set("max-retry-delay", seconds(want.maxBackoff))}
	var filter, ordering []string
	if want.filter != "" {
		filter = []string{"--message-filter=" + want.filter}
	}
	if want.ordered {
		ordering = []string{"--enable-message-ordering"}
	}
	return []facet{
		{what: "topic", flags: []string{"--topic=" + want.topic}, want: topic, have: have.Topic, fixed: true},
		{what: "filter", flags: filter, want: want.filter, have: have.Filter, fixed: true},
		{what: "ordering", flags: ordering, want: fmt.Sprint(want.ordered), have: fmt.Sprint(have.EnableMessageOrdering), fixed: true},
		{what: "ack deadline", flags: []string{"--ack-deadline=60"}, want: "60", have: fmt.Sprint(have.AckDeadlineSeconds)},
		{what: "retention", flags: []string{set("message-retention-duration", seconds(want.retention))}, want: seconds(want.retention), have: have.MessageRetentionDuration},
		{what: "expiration", flags: []string{"--expiration-period=never"}, want: "", have: have.ExpirationPolicy.TTL},
		{
			what: "back-off", flags: backoff,
			want: seconds(want.minBackoff) + " " + seconds(want.maxBackoff), have: wholeSeconds(have.RetryPolicy.MinimumBackoff) + " " + wholeSeconds(have.RetryPolicy.MaximumBackoff),
		},
	}
}

// wholeSeconds writes a duration such as 5.000s as this program does, and
// leaves what is none.
func wholeSeconds(text string) string {
	d, err := time.ParseDuration(text)
	if err != nil || d%time.Second != 0 {
		return text
	}
	return seconds(int(d / time.Second))
}

// pushing is what subscriptions have that push. One that is pulled must have
// none of it.
func (d *deployment) pushing(want subscription, have listedSubscription) []facet {
	push, letters := have.PushConfig, have.DeadLetterPolicy
	if want.push == "" {
		return []facet{
			{what: "push endpoint", want: "", have: push.PushEndpoint, fixed: true},
			{what: "dead-letter topic", want: "", have: letters.DeadLetterTopic, fixed: true},
		}
	}
	url, account := d.known.resolve(want.push), d.settings.email(want.account)
	topic := "projects/" + d.settings.projectID + "/topics/" + want.deadLetters
	return []facet{{
		what:  "push endpoint",
		flags: []string{"--push-endpoint=" + want.push, "--push-auth-service-account=" + account, "--push-auth-token-audience=" + want.push},
		want:  strings.Join([]string{url, account, url}, " "),
		have:  strings.Join([]string{push.PushEndpoint, push.OidcToken.ServiceAccountEmail, push.OidcToken.Audience}, " "),
	}, {
		what:  "dead letters",
		flags: []string{"--dead-letter-topic=" + want.deadLetters, set("max-delivery-attempts", want.attempts)},
		want:  fmt.Sprint(topic, " ", want.attempts), have: fmt.Sprint(letters.DeadLetterTopic, " ", letters.MaxDeliveryAttempts),
	}}
}
