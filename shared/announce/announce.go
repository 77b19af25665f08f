// Package announce announces changes of customers' links to the maker's cloud: it
// publishes the messages that are pending in a record to the grant-events topic, and
// then removes them from the record.
//
// A message is saved together with its change, and removed only after it has been
// published, so it is published at least once. If a process stops in between, the sweep
// finds the record due and continues.
package announce

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/logging"
)

// Publisher publishes to a topic.
type Publisher interface {
	Publish(ctx context.Context, data []byte, attributes map[string]string) error
}

// Announcer publishes grant events. If Topic is nil it only logs them.
type Announcer struct {
	Store grant.Store
	Topic Publisher
	Log   *slog.Logger
	Now   func() time.Time
}

// Message is the data of a message on the grant-events topic.
type Message struct {
	Type         grant.AnnouncementType `json:"type"`
	UserID       string                 `json:"userId"`
	Region       string                 `json:"region"`
	Skill        string                 `json:"skill"`
	GrantID      string                 `json:"grantId"`
	Reason       string                 `json:"reason,omitempty"`
	EndpointIDs  []string               `json:"endpointIds,omitempty"` // only for type stale; absent means all endpoints
	Discovery    bool                   `json:"discovery,omitempty"`   // only for type stale: discovery events were missed too
	ActiveGrants int                    `json:"activeGrants"`          // left in this region; only 0 means stop publishing
	At           time.Time              `json:"at"`
}

// Announce publishes the messages that are pending in record, oldest first, and removes
// them from the stored record. If it fails, some may have been published, and will be
// published again.
func (a *Announcer) Announce(ctx context.Context, record grant.Record) error {
	if len(record.Announce) == 0 {
		return nil
	}
	for _, pending := range record.Announce {
		if err := a.Publish(ctx, record, pending); err != nil {
			return err
		}
	}
	_, err := grant.ChangeFrom(ctx, a.Store, record, func(r *grant.Record) error {
		r.Announced(record.Announce, a.Now())
		return nil
	})
	if err != nil {
		return fmt.Errorf("recording the announcements: %w", err)
	}
	return nil
}

// Publish publishes one message about a grant of record, whether or not it is pending
// there.
func (a *Announcer) Publish(ctx context.Context, record grant.Record, pending grant.Announcement) error {
	a.Log.LogAttrs(ctx, slog.LevelInfo, "grant "+string(pending.Type),
		slog.String(logging.Customer, grant.CustomerHash(record.UserID)),
		slog.String(logging.GrantID, pending.GrantID), slog.String(logging.Region, string(pending.Region)),
		slog.String(logging.Reason, pending.Reason), slog.Int("active_grants", pending.ActiveGrants))
	if a.Topic == nil {
		return nil
	}
	data, err := json.Marshal(Message{
		Type: pending.Type, UserID: record.UserID, Region: string(pending.Region), Skill: record.Skill,
		GrantID: pending.GrantID, Reason: pending.Reason, EndpointIDs: pending.EndpointIDs, Discovery: pending.Discovery,
		ActiveGrants: pending.ActiveGrants, At: pending.At,
	})
	if err != nil {
		return err
	}
	err = a.Topic.Publish(ctx, data, map[string]string{"type": string(pending.Type), "region": string(pending.Region)})
	if err != nil {
		return fmt.Errorf("announcing %q: %w", pending.Type, err)
	}
	return nil
}
