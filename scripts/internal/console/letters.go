package console

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
	"github.com/gatepostdev/gatepost/scripts/internal/replay"
	"github.com/gatepostdev/gatepost/shared/push"
)

// maxLetters is how many dead letters are kept.
const maxLetters = 500

// letter is a dead letter.
type letter struct {
	ID          string            `json:"id"`
	EventID     string            `json:"eventId"`
	At          time.Time         `json:"at"`
	Customer    string            `json:"customer"` // userId
	Endpoint    string            `json:"endpoint"`
	What        string            `json:"what"`
	Region      string            `json:"region"`
	Reason      string            `json:"reason"`
	Code        string            `json:"code"`
	Description string            `json:"description"`
	Attributes  map[string]string `json:"attributes"`
	Data        any               `json:"data"`
	Replays     []string          `json:"replays"` // ids of the messages
}

// AddLetter adds a dead letter.
func (c *Console) AddLetter(m push.Message) {
	of := func(name string) string { return m.Attributes["gatepost-"+name] }
	e := decode(m.Data)
	l := &letter{
		ID: m.ID, EventID: cmp.Or(of("event-id"), m.Attributes["eventId"]), At: m.PublishTime,
		Customer: clean(e.UserID), Endpoint: clean(e.endpoint()), What: e.summary(),
		Region: cmp.Or(of("region"), m.Attributes["region"]), Reason: of("reason"), Code: of("code"),
		Description: of("description"), Attributes: cleanAll(m.Attributes), Data: shown(m.Data), Replays: []string{},
	}
	if l.Reason == "" {
		l.Reason, l.Description = "undelivered", "given up by Pub/Sub after the last attempt"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.letters = append(c.letters, l)
	if len(c.letters) > maxLetters {
		c.letters = c.letters[1:]
	}
}

// listLetters returns the dead letters, the newest first.
func (c *Console) listLetters(*http.Request) (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []letter{}
	for i := len(c.letters) - 1; i >= 0; i-- {
		all = append(all, *c.letters[i])
	}
	return map[string]any{"letters": all}, nil
}

// replay replays a dead letter as gatepost replay does. The event's age counts from now,
// or a replay by hand would mostly be too late.
func (c *Console) replay(r *http.Request) (any, error) {
	engine, err := c.running()
	if err != nil {
		return nil, err
	}
	env := &cli.Env{Now: c.now, Stderr: io.Discard, Google: oneprocess.Emulator(engine.Broker.Address)}
	id := r.PathValue("id")
	var sent map[string]string
	err = replay.One(r.Context(), env, engine.Broker.Project, oneprocess.DeadLetters, id, func(m push.Message) (err error) {
		sent, err = c.send(r, m)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("gatepost replay: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.letters {
		if l.ID == id {
			l.Replays = append(l.Replays, sent["id"])
		}
	}
	return sent, nil
}
