package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// demonstrationTime bounds the demonstration. It takes a quarter of a second.
const demonstrationTime = 10 * time.Second

// The customer of the demonstration. There are gateways of three regions, to show that
// the event goes to the right one.
const (
	home       = alexa.EU
	userID     = "u-1"    // at the maker
	amazonUser = "amzn-1" // at Amazon
	endpointID = "lamp-1"
)

// demonstrate links a customer, refreshes the token and sends an event, and shows each
// result. It reports whether the right gateway accepted the event.
func (s *stack) demonstrate(ctx context.Context, began time.Time) bool {
	defer close(s.over)
	ctx, cancel := context.WithTimeoutCause(ctx, demonstrationTime, fmt.Errorf("not done after %v", demonstrationTime))
	defer cancel()
	started := time.Now()
	s.screen.print("\nCustomer %s links the skill in %s, the token is refreshed, and %s is switched on:\n\n", userID, home, endpointID)
	for _, step := range []struct {
		name string
		do   func(context.Context) (string, error)
	}{{"link", s.link}, {"refresh", s.refresh}, {"report", s.report}} {
		stepStarted := time.Now()
		text, err := step.do(ctx)
		took := time.Since(stepStarted)
		if err != nil {
			s.screen.row(step.name, took, "FAILED: %v", err)
			return false
		}
		s.screen.row(step.name, took, "%s", text)
	}
	s.screen.row("in all", time.Since(started), "and %d ms since the program started", time.Since(began).Milliseconds())
	return true
}

// link sends AcceptGrant, like Alexa when a customer enables the skill.
func (s *stack) link(ctx context.Context) (string, error) {
	directive, err := acceptGrant(s.sim.Code(home, amazonUser))
	if err != nil {
		return "", err
	}
	answer, err := s.post(ctx, s.functions+"/AcceptGrant", map[string]string{"X-Alexa-Region": string(home)}, directive)
	if err != nil {
		return "", err
	}
	var response struct {
		Event struct{ Header struct{ Name string } }
	}
	if err := json.Unmarshal(answer, &response); err != nil || response.Event.Header.Name != "AcceptGrant.Response" {
		return "", fmt.Errorf("AcceptGrant answered %s", answer)
	}
	return "AcceptGrant answered " + response.Event.Header.Name, nil
}

// acceptGrant returns Alexa's directive, see
// https://developer.amazon.com/docs/device-apis/alexa-authorization.html.
func acceptGrant(code sensitive.String) ([]byte, error) {
	type object map[string]any
	return json.Marshal(object{"directive": object{
		"header": object{"namespace": "Alexa.Authorization", "name": "AcceptGrant", "payloadVersion": "3", "messageId": "demonstration"},
		"payload": object{
			"grant":   object{"type": "OAuth2.AuthorizationCode", "code": code.Reveal()},
			"grantee": object{"type": "BearerToken", "token": "grantee-" + userID},
		},
	}})
}

// refresh expires the customer's access token, so that only an event with a new one can
// be accepted later, and sweeps.
func (s *stack) refresh(ctx context.Context) (string, error) {
	s.sim.ExpireAccessTokens(home, amazonUser)
	before, started := s.sim.Counts().Refreshes, time.Now().Truncate(time.Millisecond) // as Pub/Sub gives times
	answer, err := s.post(ctx, s.functions+"/RefreshTokens", nil, nil)
	if err != nil {
		return "", err
	}
	var begun struct{ Shards int }
	if err := json.Unmarshal(answer, &begun); err != nil {
		return "", fmt.Errorf("RefreshTokens answered %s", answer)
	}
	for swept := 0; swept < begun.Shards; {
		select {
		case d := <-s.shards:
			if d.Acknowledged && !d.Message.PublishTime.Before(started) { // an emulator may hold older ones
				swept++
			}
		case <-ctx.Done():
			return "", fmt.Errorf("%d of %d shards were swept: %w", swept, begun.Shards, context.Cause(ctx))
		}
	}
	refreshed := s.sim.Counts().Refreshes - before
	if refreshed == 0 {
		return "", errors.New("the sweep refreshed no token")
	}
	return fmt.Sprintf("%s swept, %s from Login with Amazon", count(begun.Shards, "shard"), count(int(refreshed), "new token")), nil
}

// report publishes a ChangeReport, like the maker's cloud, and checks where it arrives.
// The time of its sample identifies it.
func (s *stack) report(ctx context.Context) (string, error) {
	sample := alexa.FormatTime(time.Now())
	event := fmt.Sprintf(`{"userId":%q,"endpointId":%q,"cause":"PHYSICAL_INTERACTION","changed":[`+
		`{"namespace":"Alexa.PowerController","name":"powerState","value":"ON","timeOfSample":%[3]q}],"unchanged":[`+
		`{"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"},"timeOfSample":%[3]q}]}`, userID, endpointID, sample)
	id, err := s.maker.publish(ctx, []byte(event), map[string]string{"region": string(home)}, userID+"/"+endpointID)
	if err != nil {
		return "", err
	}
	if err := s.acknowledged(ctx, id); err != nil {
		return "", fmt.Errorf("message %s: %w%s", id, err, s.refusal(sample))
	}
	if err := s.acceptedAtHome(sample); err != nil {
		return "", fmt.Errorf("message %s: %w%s", id, err, s.refusal(sample))
	}
	return fmt.Sprintf("ChangeReport %s was accepted by the gateway of %s, with the new token", id, home), nil
}

// acknowledged waits until SendEvent has acknowledged a message.
func (s *stack) acknowledged(ctx context.Context, id string) error {
	last := "SendEvent did not get it"
	for {
		select {
		case d := <-s.events:
			if d.Message.ID != id {
				continue
			}
			if d.Acknowledged {
				return nil
			}
			last = "SendEvent: " + outcomes(d)
		case <-ctx.Done():
			return fmt.Errorf("%w; %s", context.Cause(ctx), last)
		}
	}
}

// acceptedAtHome returns an error unless the gateway of the customer's region, and no
// other before it, accepted the report with a sample of that time.
func (s *stack) acceptedAtHome(sample string) error {
	for _, region := range alexa.Regions() {
		for _, seen := range s.reports(region, sample) {
			switch {
			case seen.Accepted && region == home:
				return nil
			case seen.Accepted:
				return fmt.Errorf("accepted by the gateway of %s instead of %s", region, home)
			}
		}
	}
	return errors.New("no gateway accepted it")
}

// reports returns the ChangeReports with a sample of that time that a gateway received.
func (s *stack) reports(region alexa.Region, sample string) []simulator.Request {
	var found []simulator.Request
	for _, seen := range s.sim.Events(region) {
		if seen.Name == "ChangeReport" && strings.Contains(seen.Body, sample) {
			found = append(found, seen)
		}
	}
	return found
}

// refusal returns the answers of the gateways that received the report.
func (s *stack) refusal(sample string) string {
	text := ""
	for _, region := range alexa.Regions() {
		for _, seen := range s.reports(region, sample) {
			text += fmt.Sprintf("; the gateway of %s answered %d %s", region, seen.Status, seen.Code)
		}
	}
	return text
}
