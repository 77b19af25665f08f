package local

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"github.com/gatepostdev/gatepost/shared/announce"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
)

// maxEventBytes is the largest event that can be published.
const maxEventBytes = 1 << 20

// maker is a fake of the maker's cloud. It publishes device events that it gets over
// HTTP, since curl does not speak Pub/Sub's gRPC, and shows grant events and dead
// letters.
type maker struct {
	url    string
	screen *screen
	events *pubsub.Publisher
	server *http.Server
}

// startMaker serves on an address. It calls fail if serving ends.
func startMaker(address string, client *pubsub.Client, screen *screen, fail func(error)) (*maker, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("starting the maker's cloud: %w", err)
	}
	m := &maker{url: "http://" + listener.Addr().String(), screen: screen, events: client.Publisher(deviceEvents)}
	m.events.EnableMessageOrdering = true
	m.events.PublishSettings.DelayThreshold = time.Millisecond // a person sends one at a time
	m.events.PublishSettings.Timeout = 10 * time.Second
	mux := http.NewServeMux()
	mux.HandleFunc("POST /publish", m.servePublish)
	mux.HandleFunc("POST /grant-events", m.pushed(m.grantEvent))
	mux.HandleFunc("POST /dead-letters", m.pushed(m.deadLetter))
	m.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := m.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("serving the maker's cloud: %w", err))
		}
	}()
	return m, nil
}

func (m *maker) close() { _ = m.server.Close() }

// publish publishes a device event and returns the message's id.
func (m *maker) publish(ctx context.Context, event []byte, attributes map[string]string, key string) (string, error) {
	id, err := m.events.Publish(ctx, &pubsub.Message{Data: event, Attributes: attributes, OrderingKey: key}).Get(ctx)
	if err != nil {
		m.events.ResumePublish(key) // the library refuses a key after a failure
		return "", fmt.Errorf("publishing to %s: %w", deviceEvents, err)
	}
	return id, nil
}

// servePublish publishes the body without validation, which SendEvent does.
func (m *maker) servePublish(w http.ResponseWriter, r *http.Request) {
	event, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEventBytes))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	attributes := map[string]string{}
	for _, name := range []string{"region", "eventId"} {
		if value := r.URL.Query().Get(name); value != "" {
			attributes[name] = value
		}
	}
	id, err := m.publish(r.Context(), event, attributes, r.URL.Query().Get("key"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"messageId": id})
}

// pushed returns the handler of a push subscription that shows its messages.
func (m *maker) pushed(show func(push.Message)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 2*maxEventBytes))
		if err == nil {
			var message push.Message
			if message, err = push.Decode(body); err == nil {
				show(message)
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// grantEvent shows a grant event.
func (m *maker) grantEvent(message push.Message) {
	var event announce.Message
	if err := json.Unmarshal(message.Data, &event); err != nil {
		m.screen.row("grant", 0, "message %s does not decode: %v", message.ID, err)
		return
	}
	reason := ""
	if event.Reason != "" {
		reason = " (" + event.Reason + ")"
	}
	if event.Type == grant.Stale {
		reason = ", report again " + cmp.Or(strings.Join(event.EndpointIDs, ", "), "all endpoints")
		if event.Discovery {
			reason += " and the discovery"
		}
	}
	m.screen.row("grant", 0, "%s %s in %s%s, %s", event.UserID, event.Type, event.Region, reason, count(event.ActiveGrants, "active grant"))
}

// deadLetter shows a dead letter. Those that Pub/Sub moved itself have no reason.
func (m *maker) deadLetter(message push.Message) {
	id, reason := message.ID, fmt.Sprintf("given up after %d attempts", maxAttempts)
	if code := message.Attributes["gatepost-code"]; code != "" {
		id, reason = message.Attributes["gatepost-event-id"], code+": "+message.Attributes["gatepost-description"]
	}
	m.screen.row("dead", 0, "event %s is a dead letter: %s", id, reason)
}
