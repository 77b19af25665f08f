package local

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
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
func (r *run) demonstrate(ctx context.Context, began time.Time) bool {
	ctx, cancel := context.WithTimeoutCause(ctx, demonstrationTime, fmt.Errorf("not done after %v", demonstrationTime))
	defer cancel()
	started := time.Now()
	r.screen.print("\nCustomer %s links the skill in %s, the token is refreshed, and %s is switched on:\n\n", userID, home, endpointID)
	for _, step := range []struct {
		name string
		do   func(context.Context) (string, error)
	}{{"link", r.link}, {"refresh", r.refresh}, {"report", r.report}} {
		stepStarted := time.Now()
		text, err := step.do(ctx)
		took := time.Since(stepStarted)
		if err != nil {
			r.screen.row(step.name, took, "FAILED: %v", err)
			return false
		}
		r.screen.row(step.name, took, "%s", text)
	}
	r.screen.row("in all", time.Since(started), "and %d ms since the program started", time.Since(began).Milliseconds())
	return true
}

// link sends AcceptGrant, like Alexa when a customer enables the skill.
func (r *run) link(ctx context.Context) (string, error) {
	return "AcceptGrant answered AcceptGrant.Response", r.gatepost.Link(ctx, home, amazonUser, userID)
}

// refresh expires the customer's access token, so that only an event with a new one can
// be accepted later, and sweeps.
func (r *run) refresh(ctx context.Context) (string, error) {
	r.amazon.ExpireAccessTokens(home, amazonUser)
	before := r.amazon.Counts().Refreshes
	shards, _, err := r.gatepost.Sweep(ctx)
	if err != nil {
		return "", err
	}
	refreshed := r.amazon.Counts().Refreshes - before
	if refreshed == 0 {
		return "", errors.New("the sweep refreshed no token")
	}
	return fmt.Sprintf("%s swept, %s from Login with Amazon", count(shards, "shard"), count(int(refreshed), "new token")), nil
}

// report publishes a ChangeReport, like the maker's cloud, and checks where it arrives.
// The time of its sample identifies it.
func (r *run) report(ctx context.Context) (string, error) {
	sample := alexa.FormatTime(time.Now())
	event := fmt.Sprintf(`{"userId":%q,"endpointId":%q,"cause":"PHYSICAL_INTERACTION","changed":[`+
		`{"namespace":"Alexa.PowerController","name":"powerState","value":"ON","timeOfSample":%[3]q}],"unchanged":[`+
		`{"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"},"timeOfSample":%[3]q}]}`, userID, endpointID, sample)
	attributes := map[string]string{"region": string(home), "eventId": "first-" + r.id}
	id, err := r.gatepost.Publish(ctx, []byte(event), attributes, userID+"/"+endpointID)
	if err != nil {
		return "", err
	}
	if line, err := r.gatepost.Delivered(ctx, id); err != nil {
		return "", fmt.Errorf("message %s: %w; SendEvent: %s%s", id, err, outcomes(line), refusal(r.amazon, sample))
	}
	if err := acceptedAtHome(r.amazon, sample); err != nil {
		return "", fmt.Errorf("message %s: %w%s", id, err, refusal(r.amazon, sample))
	}
	return fmt.Sprintf("ChangeReport %s was accepted by the gateway of %s, with the new token", id, home), nil
}

// acceptedAtHome returns an error unless the gateway of the customer's region, and no
// other before it, accepted the report with a sample of that time.
func acceptedAtHome(amazon *simulator.Simulator, sample string) error {
	for _, region := range alexa.Regions() {
		for _, seen := range reports(amazon, region, sample) {
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
func reports(amazon *simulator.Simulator, region alexa.Region, sample string) []simulator.Request {
	var found []simulator.Request
	for _, seen := range amazon.Events(region) {
		if seen.Name == "ChangeReport" && strings.Contains(seen.Body, sample) {
			found = append(found, seen)
		}
	}
	return found
}

// refusal returns the answers of the gateways that received the report.
func refusal(amazon *simulator.Simulator, sample string) string {
	text := ""
	for _, region := range alexa.Regions() {
		for _, seen := range reports(amazon, region, sample) {
			text += fmt.Sprintf("; the gateway of %s answered %d %s", region, seen.Status, seen.Code)
		}
	}
	return text
}
