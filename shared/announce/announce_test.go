package announce_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/announce"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

var (
	now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	key = grant.Key{Skill: "default", UserID: "u-1"}
)

// topic records its messages, and fails at the failAt-th one.
type topic struct {
	data       []string
	attributes []map[string]string
	failAt     int
}

func (p *topic) Publish(_ context.Context, data []byte, attributes map[string]string) error {
	if p.failAt > 0 && len(p.data)+1 == p.failAt {
		p.failAt = 0
		return errors.New("down")
	}
	p.data = append(p.data, string(data))
	p.attributes = append(p.attributes, attributes)
	return nil
}

// linked returns an announcer, its store, and a stored record with two waiting
// messages.
func linked(t *testing.T, topic *topic) (*announce.Announcer, grant.Store, grant.Record) {
	t.Helper()
	store := grantmem.New()
	record, err := grant.Change(t.Context(), store, key, func(r *grant.Record) error {
		for _, id := range []string{"g-1", "g-2"} {
			r.Link(id, alexa.EU, "", grant.Tokens{AccessToken: []byte("x"), RefreshDue: now.Add(40 * time.Minute)}, now)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	return &announce.Announcer{Store: store, Topic: topic, Log: log, Now: func() time.Time { return now }}, store, record
}

const (
	first = `{"type":"linked","userId":"u-1","region":"EU","skill":"default","grantId":"g-1","activeGrants":1,` +
		`"at":"2026-01-02T03:04:05Z"}`
	second = `{"type":"relinked","userId":"u-1","region":"EU","skill":"default","grantId":"g-2","activeGrants":2,` +
		`"at":"2026-01-02T03:04:05Z"}`
)

func TestAnnounceOnce(t *testing.T) {
	t.Parallel()
	events := new(topic)
	a, store, record := linked(t, events)
	if err := a.Announce(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	expect.Equal(t, "messages", []string{first, second}, events.data)
	attributes := []map[string]string{{"type": "linked", "region": "EU"}, {"type": "relinked", "region": "EU"}}
	expect.Equal(t, "attributes", attributes, events.attributes)
	record, err := store.Read(t.Context(), key)
	if err != nil || len(record.Announce) != 0 {
		t.Errorf("waiting messages = %v, %v, want none", record.Announce, err)
	}
	if err := a.Announce(t.Context(), record); err != nil || len(events.data) != 2 {
		t.Errorf("published = %v, %v, want no repetition", events.data, err)
	}
}

func TestTopicFailure(t *testing.T) {
	t.Parallel()
	events := &topic{failAt: 2}
	a, store, record := linked(t, events)
	if err := a.Announce(t.Context(), record); err == nil {
		t.Fatal("Announce succeeded, want an error")
	}
	record, err := store.Read(t.Context(), key)
	if err != nil || len(record.Announce) != 2 || !record.RefreshDue.Equal(now) {
		t.Fatalf("waiting messages = %d, due %v: %v, want 2, due now", len(record.Announce), record.RefreshDue, err)
	}
	if err := a.Announce(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	expect.Equal(t, "messages", []string{first, first, second}, events.data)
}

// TestLaterMessageStays: a message that was added while others were published
// stays.
func TestLaterMessageStays(t *testing.T) {
	t.Parallel()
	events := new(topic)
	a, store, read := linked(t, events)
	if _, err := grant.Change(t.Context(), store, key, func(r *grant.Record) error {
		r.Revoke("g-1", grant.ReasonInvalidGrant, now.Add(time.Second))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := a.Announce(t.Context(), read); err != nil {
		t.Fatal(err)
	}
	record, err := store.Read(t.Context(), key)
	if err != nil || len(record.Announce) != 1 || record.Announce[0].Type != grant.WasRevoked || events.data[0] != first {
		t.Errorf("published = %v; waiting = %v, %v, want the revocation", events.data, record.Announce, err)
	}
}
