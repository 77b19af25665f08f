// Command links is a service of a maker's cloud, for Cloud Run. A push subscription of
// the grant-events topic calls it, and it records for which customers events are
// published. Copy it, and replace the map with your database and the three functions
// with your own.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/announce"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
)

func main() {
	s := &service{
		links: make(map[link]state),
		report: func(_ context.Context, user string, endpoints []string, discovery bool) error {
			log.Printf("publish the state of %v of %s (none: of all endpoints), discovery %v", endpoints, user, discovery)
			return nil
		},
		tell: func(_ context.Context, user, text string) error {
			log.Printf("to %s: %s", user, text)
			return nil
		},
	}
	server := &http.Server{Addr: ":" + os.Getenv("PORT"), Handler: s, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// link names what activeGrants counts: a customer's grants in one region.
type link struct{ user, region string }

// state is the newest that is known of a link.
type state struct {
	at     time.Time
	active bool // publish the customer's events
}

type service struct {
	mu    sync.Mutex
	links map[link]state
	// report publishes the state of endpoints with the cause PERIODIC_POLL: of all if
	// there are none. With discovery it publishes AddOrUpdateReport too.
	report func(ctx context.Context, user string, endpoints []string, discovery bool) error
	// tell sends a customer a text.
	tell func(ctx context.Context, user, text string) error
}

// Publishes reports whether events of a customer are to be published, and so whether to
// publish them with the attribute region.
func (s *service) Publishes(user, region string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.links[link{user, region}].active
}

// ServeHTTP takes a push of Pub/Sub. An error makes Pub/Sub push it again.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err == nil {
		err = s.take(r.Context(), body)
	}
	if err != nil {
		log.Print(err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *service) take(ctx context.Context, body []byte) error {
	message, err := push.Decode(body)
	if err != nil {
		return err
	}
	var event announce.Message
	if err := json.Unmarshal(message.Data, &event); err != nil {
		return fmt.Errorf("message %s: %w", message.ID, err)
	}
	switch event.Type {
	case grant.Stale:
		// A link that is not known yet may be one whose linked comes later.
		if before, _ := s.compare(event); !before.at.IsZero() && !before.active {
			return nil
		}
		return s.report(ctx, event.UserID, event.EndpointIDs, event.Discovery)
	case grant.Linked, grant.Relinked, grant.Recovered, grant.WasRevoked:
		before, news := s.compare(event)
		if news && before.active && event.ActiveGrants == 0 {
			if err := s.tell(ctx, event.UserID, farewell(event)); err != nil {
				return err
			}
		}
		s.note(event)
	}
	return nil // suspect asks nothing, nor does a type that is new
}

// compare returns what is known of an event's link, and whether the event is news.
// Messages may arrive twice and out of order: the newest counts.
func (s *service) compare(event announce.Message) (before state, news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before = s.links[link{event.UserID, event.Region}]
	return before, event.At.After(before.at)
}

// note notes the state of a link. It comes last: what fails before is pushed again.
func (s *service) note(event announce.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := link{event.UserID, event.Region}
	if event.At.After(s.links[key].at) {
		s.links[key] = state{event.At, event.ActiveGrants > 0}
	}
}

// farewell is the text for a customer who has to link again.
func farewell(event announce.Message) string {
	why := "the connection with your account has ended"
	if event.Reason == grant.ReasonInvalidGrant {
		why = "the skill was disabled, or its permission was withdrawn"
	}
	return fmt.Sprintf("Since %s Alexa no longer hears from your devices: %s. To connect them again, open the Alexa app, "+
		"go to More > Skills & Games, and enable the skill.", event.At.Format("2 January 2006"), why)
}
