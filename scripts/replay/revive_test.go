package main

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

func TestRevive(t *testing.T) {
	t.Parallel()
	const published = "2026-01-02T12:00:00.000Z"
	for _, test := range []struct {
		name       string
		revival    revival
		attributes map[string]string
		want       map[string]string
	}{
		{name: "SendEvent's", attributes: map[string]string{
			"gatepost-reason": "dead_letter", "gatepost-code": "A", "gatepost-description": "no", "gatepost-customer": "c",
			"gatepost-region": "EU", "gatepost-grant": "g-1", "gatepost-event-id": "event-1",
			"gatepost-published": published, "gatepost-attempt": "3", "eventId": "e-1", "room": "kitchen",
		}, want: map[string]string{
			"region": "EU", "gatepost-grant": "g-1", "gatepost-event-id": "event-1", "gatepost-published": published,
			"eventId": "e-1", "room": "kitchen",
		}},
		{name: "Pub/Sub's", attributes: map[string]string{
			"CloudPubSubDeadLetterSourceDeliveryCount":       "100",
			"CloudPubSubDeadLetterSourceSubscription":        "events-eu",
			"CloudPubSubDeadLetterSourceSubscriptionProject": "p",
			"CloudPubSubDeadLetterSourceTopicPublishTime":    "2026-01-02T12:00:00Z",
			"googclient_traceparent":                         "00-0-0-00", "region": "NA",
		}, want: map[string]string{"region": "NA", "gatepost-event-id": "dead-1", "gatepost-published": published}},
		{name: "no grant, no region", attributes: map[string]string{
			"gatepost-grant": "", "gatepost-region": "", "gatepost-event-id": "event-1", "gatepost-published": published,
		}, want: map[string]string{"gatepost-event-id": "event-1", "gatepost-published": published}},
		{name: "publisher's identity", attributes: map[string]string{"eventId": "e-1"}, want: map[string]string{
			"eventId": "e-1", "gatepost-event-id": "e-1", "gatepost-published": "2026-01-02T13:00:00.000Z",
		}},
		{name: "nothing", attributes: nil, want: map[string]string{
			"gatepost-event-id": "dead-1", "gatepost-published": "2026-01-02T13:00:00.000Z",
		}},
		{name: "own region before the refusal's", attributes: map[string]string{
			"region": "NA", "gatepost-region": "EU", "gatepost-published": published,
		}, want: map[string]string{"region": "NA", "gatepost-event-id": "dead-1", "gatepost-published": published}},
		{name: "given region", revival: revival{region: alexa.FE}, attributes: map[string]string{
			"region": "MOON", "gatepost-published": published,
		}, want: map[string]string{"region": "FE", "gatepost-event-id": "dead-1", "gatepost-published": published}},
		{name: "given region, not needed", revival: revival{region: alexa.FE}, attributes: map[string]string{
			"region": "NA", "gatepost-published": published,
		}, want: map[string]string{"region": "NA", "gatepost-event-id": "dead-1", "gatepost-published": published}},
		{name: "as new", revival: revival{asNew: true}, attributes: map[string]string{
			"gatepost-published": published, "CloudPubSubDeadLetterSourceTopicPublishTime": published,
		}, want: map[string]string{"gatepost-event-id": "dead-1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := dead(changeReport, test.attributes)
			m.OrderingKey = "u-1/lamp-1"
			got, err := test.revival.revive(open(m), noon)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got.Attributes); diff != "" {
				t.Errorf("attributes (-want +got):\n%s", diff)
			}
			if string(got.Data) != changeReport || got.OrderingKey != "u-1/lamp-1" || got.ID != "" {
				t.Errorf("revive() = %+v, want the same data and ordering key, and no ID", got)
			}
		})
	}
}

func TestReviveRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		revival revival
		data    string
		region  string
		age     time.Duration
		want    error
	}{
		{name: "DeleteReport of an hour", data: deleteReport, age: time.Hour},
		{name: "older", data: deleteReport, age: time.Hour + 1, want: errStaleDelete},
		{name: "older, as new", revival: revival{asNew: true}, data: deleteReport, age: time.Hour + 1, want: errStaleDelete},
		{name: "older, forced", revival: revival{force: true}, data: deleteReport, age: 48 * time.Hour},
		{name: "ChangeReport of two days", data: changeReport, age: 48 * time.Hour},
		{name: "region that is none", data: changeReport, region: "eu", want: errWrongRegion},
		{name: "region that is none, forced", revival: revival{force: true}, data: changeReport, region: "eu", want: errWrongRegion},
		{name: "region that is none, given one", revival: revival{region: alexa.EU}, data: changeReport, region: "eu"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := open(dead(test.data, map[string]string{attrRegion: test.region, attrPublished: alexa.FormatTime(noon)}))
			if _, err := test.revival.revive(l, noon.Add(test.age)); !errors.Is(err, test.want) {
				t.Errorf("revive() = %v, want %v", err, test.want)
			}
		})
	}
}

func TestExpires(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		data  string
		age   time.Duration
		asNew bool
		want  bool
	}{
		{"report", changeReport, 5*time.Minute + 1, false, true},
		{"young report", changeReport, 5 * time.Minute, false, false},
		{"report as new", changeReport, time.Hour, true, false},
		{"discovery", deleteReport, time.Hour, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := open(dead(test.data, map[string]string{attrPublished: alexa.FormatTime(noon)}))
			if got := (revival{asNew: test.asNew}).expires(l, noon.Add(test.age)); got != test.want {
				t.Errorf("expires() = %v, want %v", got, test.want)
			}
		})
	}
}
