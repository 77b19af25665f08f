package faults_test

import (
	"encoding/json"
	"slices"
	"testing"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"

	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	gcloud "github.com/gatepostdev/gatepost/shared/testkit/cloud"
)

// The topics.
const (
	grantEventsTopic = "grant-events"
	deadLetterTopic  = "dead-letters"
)

// cloud is a Google Cloud project in the emulators.
type cloud struct {
	*gcloud.Project
	store                    *grantfire.Store
	grantEvents, deadLetters inbox
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{Project: gcloud.New(t)}
	c.store = grantfire.New(c.Database(t, firestore.DefaultDatabaseID))
	c.CreateTopic(t, grantEventsTopic, deadLetterTopic)
	c.grantEvents, c.deadLetters = inbox{c.Pull(t, grantEventsTopic)}, inbox{c.Pull(t, deadLetterTopic)}
	return c
}

// inbox is the messages that a topic was sent.
type inbox struct{ *gcloud.Inbox }

// say waits until say has something to say about n messages, and for whatever
// else was published before. It returns all it says, sorted.
func (b inbox) say(t *testing.T, n int, say func(*pubsub.Message) string) (said []string) {
	t.Helper()
	for _, m := range b.Wait(t, n, func(m *pubsub.Message) bool { return say(m) != "" }) {
		said = append(said, say(m))
	}
	slices.Sort(said)
	return said
}

// told is what the maker is told of a customer, other than that it was linked.
func (c customer) told(m *pubsub.Message) string {
	var message struct{ Type, UserID, Reason string }
	if json.Unmarshal(m.Data, &message) != nil || message.UserID != c.userID || message.Type == "linked" {
		return ""
	}
	return words(message.Type, message.Reason)
}

// buried is the code of a customer's dead letter.
func (c customer) buried(m *pubsub.Message) string {
	if m.Attributes["eventId"] == "" || m.Attributes["customer"] != c.userID {
		return ""
	}
	return m.Attributes["gatepost-code"]
}
