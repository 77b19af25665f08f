package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/announce"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
)

// TestLinks sends the grant events of a customer, late, twice and out of order.
func TestLinks(t *testing.T) {
	t.Parallel()
	var done []string
	failing := false
	s := &service{
		links: make(map[link]state),
		report: func(_ context.Context, user string, endpoints []string, discovery bool) error {
			if failing {
				return errors.New("database down")
			}
			done = append(done, fmt.Sprint("report ", user, endpoints, discovery))
			return nil
		},
		tell: func(_ context.Context, user, text string) error {
			done = append(done, "tell "+user+" "+text)
			return nil
		},
	}
	send := func(kind grant.AnnouncementType, minute, active int, endpoints ...string) int {
		data, err := json.Marshal(announce.Message{
			Type: kind, UserID: "u-1", Region: "EU", GrantID: "g-1", Reason: "invalid_grant", ActiveGrants: active,
			EndpointIDs: endpoints, At: time.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC),
		})
		if err != nil {
			t.Fatal(err)
		}
		body, err := push.Encode(push.Message{ID: "1", Data: data})
		if err != nil {
			t.Fatal(err)
		}
		answer := httptest.NewRecorder()
		s.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body))))
		return answer.Code
	}
	for i, step := range []struct {
		kind           grant.AnnouncementType
		minute, active int
		publishes      bool // afterwards
	}{
		{grant.Stale, 0, 1, false}, // before linked
		{grant.Linked, 1, 1, true},
		{grant.BecameSuspect, 2, 1, true},
		{grant.Stale, 3, 1, true},
		{grant.WasRevoked, 5, 0, false},
		{grant.WasRevoked, 5, 0, false}, // twice
		{grant.Recovered, 4, 1, false},
		{grant.Stale, 5, 0, false}, // of a customer who has left
		{grant.Relinked, 6, 1, true},
		{"new", 7, 0, true},
	} {
		if status := send(step.kind, step.minute, step.active, "lamp-1"); status != http.StatusNoContent {
			t.Errorf("step %d: status %d", i, status)
		}
		if got := s.Publishes("u-1", "EU"); got != step.publishes {
			t.Errorf("step %d: after %s of minute %d it publishes %v", i, step.kind, step.minute, got)
		}
	}
	want := []string{
		"report u-1[lamp-1] false", "report u-1[lamp-1] false",
		"tell u-1 Since 2 January 2026 Alexa no longer hears from your devices: the skill was disabled, or its permission was withdrawn. " +
			"To connect them again, open the Alexa app, go to More > Skills & Games, and enable the skill.",
	}
	if diff := cmp.Diff(want, done); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
	if failing = true; send(grant.Stale, 8, 1) != http.StatusInternalServerError {
		t.Error("a report that failed was acknowledged")
	}
}
