package oneprocess

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/sweep"
)

// Publish publishes a device event and returns the message's id.
func (g *Gatepost) Publish(ctx context.Context, event []byte, attributes map[string]string, key string) (string, error) {
	id, err := g.publisher.Publish(ctx, &pubsub.Message{Data: event, Attributes: attributes, OrderingKey: key}).Get(ctx)
	if err != nil {
		g.publisher.ResumePublish(key) // the library refuses a key after a failure
		return "", fmt.Errorf("publishing to %s: %w", DeviceEvents, err)
	}
	return id, nil
}

// Delivered waits until a device event is acknowledged, and returns the last line about
// it. If ctx ends first, it returns the last line so far and an error.
func (g *Gatepost) Delivered(ctx context.Context, id string) (Line, error) {
	_, err := g.settled.Wait(ctx, func(settled string) bool { return settled == id })
	lines, _ := g.Lines.Find(func(l Line) bool { return l.Message == "SendEvent" && l.Pushed != nil && l.Pushed.ID == id })
	if len(lines) == 0 {
		return Line{}, err
	}
	return lines[len(lines)-1], err
}

// Link lets an Amazon user enable the skill and link it to a customer: it sends
// AcceptGrant, as Alexa does.
func (g *Gatepost) Link(ctx context.Context, region alexa.Region, amazonUser, userID string) error {
	// See https://developer.amazon.com/docs/device-apis/alexa-authorization.html.
	type object map[string]any
	code := g.options.Amazon.Code(region, amazonUser)
	directive, err := json.Marshal(object{"directive": object{
		"header": object{"namespace": "Alexa.Authorization", "name": "AcceptGrant", "payloadVersion": "3", "messageId": "link-" + userID},
		"payload": object{
			"grant":   object{"type": "OAuth2.AuthorizationCode", "code": code.Reveal()},
			"grantee": object{"type": "BearerToken", "token": "grantee-" + userID},
		},
	}})
	if err != nil {
		return err
	}
	answer, err := g.Post(ctx, "AcceptGrant", map[string]string{"X-Alexa-Region": string(region)}, directive)
	if err != nil {
		return err
	}
	var response struct {
		Event struct{ Header struct{ Name string } }
	}
	if err := json.Unmarshal(answer, &response); err != nil || response.Event.Header.Name != "AcceptGrant.Response" {
		return fmt.Errorf("AcceptGrant answered %s", answer)
	}
	return nil
}

// Sweep starts a sweep, waits until all shards are swept, and returns their number and
// the sums of their counts.
func (g *Gatepost) Sweep(ctx context.Context) (shards int, sum sweep.Counts, err error) {
	started := time.Now().Truncate(time.Millisecond) // as Pub/Sub gives times
	if shards, err = g.startSweep(ctx); err != nil {
		return 0, sum, err
	}
	// An emulator may hold older shards.
	swept, err := g.Lines.WaitFor(ctx, shards, func(l Line) bool {
		return l.Message == "RefreshShard" && l.Int(logging.Status) == http.StatusOK && l.Pushed != nil && !l.Pushed.PublishTime.Before(started)
	})
	if err != nil {
		return 0, sum, fmt.Errorf("shards that were swept: %w", err)
	}
	for _, l := range swept {
		counts := l.Swept()
		sum.Refreshed += counts.Refreshed
		sum.Skipped += counts.Skipped
		sum.Revoked += counts.Revoked
		sum.Refused += counts.Refused
		for cause, n := range counts.Failed {
			if sum.Failed == nil {
				sum.Failed = make(map[string]int)
			}
			sum.Failed[cause] += n
		}
	}
	return shards, sum, nil
}

// Swept returns the counts of a line of RefreshShard.
func (l Line) Swept() sweep.Counts {
	counts := sweep.Counts{
		Refreshed: l.Int(logging.Refreshed), Skipped: l.Int(logging.Skipped), Revoked: l.Int("revoked"), Refused: l.Int("refused"),
	}
	if failed := l.Fields[logging.Failed]; failed.Kind() == slog.KindAny {
		counts.Failed, _ = failed.Any().(map[string]int)
	}
	return counts
}

// startSweep calls RefreshTokens, and returns how many shards it published.
func (g *Gatepost) startSweep(ctx context.Context) (shards int, err error) {
	answer, err := g.Post(ctx, "RefreshTokens", nil, nil)
	if err != nil {
		return 0, err
	}
	var begun struct{ Shards int }
	if err := json.Unmarshal(answer, &begun); err != nil {
		return 0, fmt.Errorf("RefreshTokens answered %s", answer)
	}
	return begun.Shards, nil
}

// Post calls a function and returns the answer. A status other than 200 is an error.
func (g *Gatepost) Post(ctx context.Context, function string, header map[string]string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL+"/"+function, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := g.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %d: %s", function, response.StatusCode, answer)
	}
	return answer, err
}
