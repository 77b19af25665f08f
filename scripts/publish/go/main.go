package main

import (
	"context"
	"crypto/rand"
	"log"
	"os"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"github.com/gatepostdev/gatepost/shared/alexa"
)

func main() {
	ctx := context.Background()
	config := &pubsub.ClientConfig{EnableOpenTelemetryTracing: true} // log lines have your trace
	client, err := pubsub.NewClientWithConfig(ctx, os.Getenv("GOOGLE_CLOUD_PROJECT"), config)
	check(err)
	events := client.Publisher("device-events")
	events.EnableMessageOrdering = true

	now := time.Now() // the times are those of each property's last change
	on, err := alexa.NewProperty("Alexa.PowerController", "powerState", "ON", now)
	check(err)
	reachable, err := alexa.NewProperty("Alexa.EndpointHealth", "connectivity", map[string]string{"value": "OK"}, now.Add(-time.Hour))
	check(err)
	report := alexa.NewChangeReport("u-1", "lamp-1", "PHYSICAL_INTERACTION", []alexa.Property{on}, []alexa.Property{reachable})
	data, _, err := report.Device() // refuses what Alexa would refuse
	check(err)

	_, err = events.Publish(ctx, &pubsub.Message{
		Data: data, OrderingKey: "u-1/lamp-1",
		Attributes: map[string]string{"region": "EU", "eventId": rand.Text()}, // the same if it is published again
	}).Get(ctx)
	check(err)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
