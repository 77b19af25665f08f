package explain

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/googleapi"
	"github.com/gatepostdev/gatepost/scripts/internal/replay"
	"github.com/gatepostdev/gatepost/scripts/internal/story"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// collect asks all sources. Without the log there is nothing to tell. Any other source
// that cannot be read is noted.
func (c Command) collect(ctx context.Context, env *cli.Env, q story.Question, now time.Time) (story.Evidence, error) {
	var known story.Evidence
	google, err := googleapi.New(ctx, env.GoogleAPI)
	if err != nil {
		return known, err
	}
	if known.Entries, err = readLog(ctx, google, c.Project, filter(q, now)); err != nil {
		return known, err
	}
	note := func(source string, err error) {
		if err != nil {
			known.Unread = append(known.Unread, fmt.Sprintf("%s: %v", source, err))
		}
	}
	known.LogBegan, err = logBegan(ctx, google, c.Project, now)
	note("the log's retention", err)
	known.Exclusions, err = exclusions(ctx, google, c.Project)
	note("the log's exclusions", err)
	known.Backlog, err = backlog(ctx, google, c.Project, now)
	note("the backlog of the subscriptions", err)
	if q.Customer == "" {
		note("dead letters", errors.New("they need --user or --customer"))
	} else {
		known.Letters, err = replay.List(ctx, env, c.Project, c.DeadLetters, q.Customer, cmp.Or(c.idle, letterIdle))
		note("dead letters", err)
	}
	if c.User == "" {
		note("the customer's record", errors.New("it needs --user"))
		return known, nil
	}
	for _, database := range c.Databases {
		err := c.read(ctx, env, database, database, q, &known)
		known.Incomplete = known.Incomplete || err != nil
		note("database "+database, err)
	}
	return known, nil
}

// letterIdle is how long to wait for a dead letter: a pull of Pub/Sub's may be empty
// although there are some.
const letterIdle = 2 * time.Second

// look reads what the local run has, in whose process this is.
func (c Command) look(ctx context.Context, env *cli.Env, q story.Question) (known story.Evidence, err error) {
	known.Exclusions = []string{} // none
	if known.Entries, _, err = story.ReadEntries(bytes.NewReader(env.Local.Log)); err != nil {
		return known, err
	}
	if len(known.Entries) > 0 {
		known.LogBegan = began(known.Entries)
	}
	for _, m := range env.Local.Letters {
		known.Letters = append(known.Letters, replay.Letter(m))
	}
	if c.User == "" {
		return known, nil
	}
	return known, c.read(ctx, env, "", "the local run", q, &known)
}

// read reads the customer's record in a stack, nil if there is none, and the event's
// delivery record.
func (c Command) read(ctx context.Context, env *cli.Env, database, stack string, q story.Question, known *story.Evidence) error {
	if known.Records == nil {
		known.Records, known.Deliveries = make(map[string]*grant.Record), make(map[string]grant.Delivery)
	}
	store, closeStore, err := env.OpenGrants(ctx, c.Project, database)
	if err != nil {
		return err
	}
	defer func() { _ = closeStore() }() // nothing was written
	key := grant.Key{Skill: c.Skill, UserID: c.User}
	switch record, err := store.Read(ctx, key); {
	case err == nil:
		known.Records[stack] = &record
	case errors.Is(err, grant.ErrNotFound):
		known.Records[stack] = nil
	default:
		return err
	}
	if q.Event == "" {
		return nil
	}
	delivery, err := store.ReadDelivery(ctx, grant.DeliveryKey{Customer: key.ID(), EventID: q.Event})
	if err == nil && delivery.Live(env.Now()) {
		known.Deliveries[stack] = delivery
	}
	if errors.Is(err, grant.ErrNotFound) {
		return nil
	}
	return err
}

// filter selects the lines of Cloud Logging that bear on a question: those of the
// customer and the event, those of the endpoint for customers whom a stack does not
// know, and those of events that do not decode, which have no customer.
func filter(q story.Question, now time.Time) string {
	var any []string
	add := func(format, value string) {
		if value != "" {
			any = append(any, fmt.Sprintf(format, value))
		}
	}
	add(`jsonPayload.customer=%q`, q.Customer)
	add(`(jsonPayload.endpoint_id=%q AND jsonPayload.outcome="no_grant")`, q.Endpoint)
	if q.Event == "" {
		any = append(any, `(jsonPayload.outcome="dead_letter" AND NOT jsonPayload.customer:*)`)
	}
	add(`jsonPayload.event_id=%q`, q.Event)
	add(`jsonPayload.message_id:%q`, q.Event)
	add(`jsonPayload.deliveries.message_id:%q`, q.Event)
	to := now
	if !q.To.IsZero() {
		to = q.To.Add(settled)
	}
	return fmt.Sprintf(`(%s) AND (jsonPayload.function="SendEvent" OR jsonPayload.message:"grant ") AND timestamp>=%q AND timestamp<=%q`,
		strings.Join(any, " OR "), q.From.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339))
}

// The most that is read of a log. A page may be empty while Cloud Logging searches on.
const (
	maxEntries = 20_000
	maxPages   = 200
)

// readLog reads the lines that a filter selects, the oldest first.
func readLog(ctx context.Context, google *googleapi.Client, project, filter string) ([]story.Entry, error) {
	var all []story.Entry
	request := map[string]any{
		"resourceNames": []string{"projects/" + project}, "filter": filter, "orderBy": "timestamp asc", "pageSize": 1000,
	}
	for range maxPages {
		var page struct {
			Entries       []json.RawMessage
			NextPageToken string
		}
		if err := google.Post(ctx, "logging", "v2/entries:list", request, &page); err != nil {
			return nil, fmt.Errorf("reading the log: %w", err)
		}
		for _, text := range page.Entries {
			if e, err := story.ParseEntry(text); err == nil {
				all = append(all, e)
			}
		}
		if page.NextPageToken == "" {
			return all, nil
		}
		if len(all) > maxEntries {
			break
		}
		request["pageToken"] = page.NextPageToken
	}
	return nil, errors.New("the log has too many lines about that: ask about an endpoint or a shorter time")
}

// logBegan returns the age of the oldest line that the log can have.
func logBegan(ctx context.Context, google *googleapi.Client, project string, now time.Time) (time.Time, error) {
	var bucket struct{ RetentionDays int }
	path := "v2/projects/" + project + "/locations/global/buckets/_Default"
	if err := google.Get(ctx, "logging", path, nil, &bucket); err != nil {
		return time.Time{}, err
	}
	return now.AddDate(0, 0, -cmp.Or(bucket.RetentionDays, 30)), nil
}

// requests is in the filter of an exclusion that drops Cloud Run's own lines, as the one
// that every deployment has does. It drops no line of a function.
const requests = "run.googleapis.com/requests"

// exclusions returns the exclusions of the log that may drop a line of SendEvent, an empty
// list if there are none: those of the sink that fills the bucket _Default.
func exclusions(ctx context.Context, google *googleapi.Client, project string) ([]string, error) {
	var sink struct {
		Disabled   bool
		Exclusions []struct {
			Name, Filter string
			Disabled     bool
		}
	}
	if err := google.Get(ctx, "logging", "v2/projects/"+project+"/sinks/_Default", nil, &sink); err != nil {
		return nil, err
	}
	if sink.Disabled {
		return []string{"the sink _Default, which is disabled"}, nil
	}
	all := []string{}
	for _, e := range sink.Exclusions {
		if !e.Disabled && !strings.Contains(e.Filter, requests) {
			all = append(all, fmt.Sprintf("%s (%s)", e.Name, strings.Join(strings.Fields(e.Filter), " ")))
		}
	}
	return all, nil
}

// backlog returns what waits in the subscriptions of device events.
func backlog(ctx context.Context, google *googleapi.Client, project string, now time.Time) ([]story.Backlog, error) {
	const events = `ends_with("-device-events")`
	messages, err := google.Newest(ctx, project, "num_undelivered_messages", events, now)
	if err != nil {
		return nil, err
	}
	ages, err := google.Newest(ctx, project, "oldest_unacked_message_age", events, now)
	if err != nil {
		return nil, err
	}
	var all []story.Backlog
	for subscription, n := range messages {
		all = append(all, story.Backlog{Subscription: subscription, Messages: n, Oldest: time.Duration(ages[subscription]) * time.Second})
	}
	slices.SortFunc(all, func(a, b story.Backlog) int { return cmp.Compare(a.Subscription, b.Subscription) })
	return all, nil
}
