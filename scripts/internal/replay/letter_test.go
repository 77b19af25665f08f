package replay

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
)

const (
	changeReport = `{"userId":"u-1","event":{"header":{"namespace":"Alexa","name":"ChangeReport"},` +
		`"endpoint":{"endpointId":"lamp-1"},"payload":{}}}`
	deleteReport = `{"userId":"u-1","event":{"header":{"namespace":"Alexa.Discovery","name":"DeleteReport"},` +
		`"payload":{"endpoints":[{"endpointId":"lamp-1"}]}}}`
)

// noon is when the test's events were published for the first time; their dead
// letters are of an hour later.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func dead(data string, attributes map[string]string) push.Message {
	return push.Message{ID: "dead-1", Data: []byte(data), Attributes: attributes, PublishTime: noon.Add(time.Hour)}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	u1 := grant.CustomerHash("u-1")
	for _, test := range []struct {
		name       string
		data       string
		attributes map[string]string
		want       letter
	}{
		{"SendEvent's", changeReport, map[string]string{
			attrReason: "dead_letter", attrCode: "INVALID_REQUEST_EXCEPTION", attrDescription: "no",
			attrCustomer: "0123456789abcdef", attrRefusedBy: "EU", attrPublished: "2026-01-02T12:00:00.000Z",
		}, letter{
			reason: "dead_letter", code: "INVALID_REQUEST_EXCEPTION", description: "no", customer: "0123456789abcdef",
			region: "EU", published: noon, kind: "Alexa.ChangeReport", endpoint: "lamp-1",
		}},
		{"Pub/Sub's", `{"userId":"u-1","endpointId":"lamp-1","cause":"PERIODIC_POLL","changed":[]}`, map[string]string{
			attrDeliveries: "100", attrSourceTopic: "2026-01-02T13:00:00.5+01:00", attrRegion: "NA",
		}, letter{
			reason: undelivered, description: "not acknowledged in 100 deliveries", customer: u1,
			region: "NA", published: noon.Add(500 * time.Millisecond), kind: "Alexa.ChangeReport", endpoint: "lamp-1",
		}},
		{"Pub/Sub's of a replay", deleteReport, map[string]string{
			attrDeliveries: "100", attrSourceTopic: "2026-01-02T12:30:00Z", attrPublished: "2026-01-02T12:00:00.000Z",
		}, letter{
			reason: undelivered, description: "not acknowledged in 100 deliveries", customer: u1,
			published: noon, kind: "Alexa.Discovery.DeleteReport",
		}},
		{"without attributes", `{"userId":"u-1"}`, nil, letter{customer: u1, published: noon.Add(time.Hour)}},
		{"without JSON", `{`, nil, letter{published: noon.Add(time.Hour)}},
		{"wrong types", `{"userId":1,"event":{"header":{"namespace":"Alexa.Discovery","name":"DeleteReport"},"endpoint":[]}}`,
			map[string]string{attrPublished: "noon"},
			letter{published: noon.Add(time.Hour), kind: "Alexa.Discovery.DeleteReport"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := open(dead(test.data, test.attributes))
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(letter{}), cmpopts.IgnoreFields(letter{}, "Message")); diff != "" {
				t.Errorf("open() differs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOpenSendEventsOwn opens a dead letter as SendEvent makes it, and lets it
// judge the replay: both know the attributes by the same names.
func TestOpenSendEventsOwn(t *testing.T) {
	t.Parallel()
	buried := func(m push.Message) push.Message {
		var grave grave
		deliverer := delivery.New(delivery.Options{DeadLetters: &grave, Now: func() time.Time { return noon.Add(time.Minute) }})
		deliverer.Deliver(t.Context(), m)
		if len(grave) != 1 {
			t.Fatalf("%d dead letters, want 1", len(grave))
		}
		return grave[0]
	}
	first := buried(push.Message{
		ID: "event-1", Data: []byte(changeReport), PublishTime: noon, Attempt: 1, Attributes: map[string]string{attrRegion: "MOON"},
	})
	l := open(first)
	want := letter{
		reason: "dead_letter", code: "UNKNOWN_REGION", description: l.description, customer: grant.CustomerHash("u-1"),
		region: "MOON", published: noon, kind: "Alexa.ChangeReport", endpoint: "lamp-1",
	}
	if diff := cmp.Diff(want, l, cmp.AllowUnexported(letter{}), cmpopts.IgnoreFields(letter{}, "Message")); diff != "" || l.description == "" {
		t.Errorf("open() differs (-want +got):\n%s", diff)
	}

	again, err := revival{SetRegion: alexa.EU}.revive(l, noon)
	if err != nil {
		t.Fatal(err)
	}
	again.ID, again.PublishTime = "event-2", noon.Add(time.Hour)
	again.Attributes[attrRegion] = "MOON"
	second := buried(again)
	for _, name := range []string{attrIdentity, attrPublished} {
		if second.Attributes[name] != first.Attributes[name] || first.Attributes[name] == "" {
			t.Errorf("%s of the event is %q, and of its replay %q", name, first.Attributes[name], second.Attributes[name])
		}
	}
}

// grave is a dead-letter topic.
type grave []push.Message

func (g *grave) PublishOrdered(_ context.Context, _ string, data []byte, attributes map[string]string) error {
	*g = append(*g, push.Message{ID: "dead-1", Data: data, Attributes: attributes, PublishTime: noon.Add(time.Minute)})
	return nil
}

func TestSelects(t *testing.T) {
	t.Parallel()
	l := letter{reason: "dead_letter", code: "A", customer: "c", region: "EU", published: noon}
	for _, test := range []struct {
		name   string
		filter filter
		want   bool
	}{
		{"none", filter{}, true},
		{"all", filter{Reason: "dead_letter", Code: "A", Customer: "c", Region: alexa.EU, Since: noon, Until: noon.Add(1)}, true},
		{"reason", filter{Reason: undelivered}, false},
		{"code", filter{Code: "a"}, false},
		{"customer", filter{Customer: "d"}, false},
		{"user", filter{User: "u-1"}, false},
		{"region", filter{Region: alexa.NA}, false},
		{"since", filter{Since: noon.Add(1)}, false},
		{"until", filter{Until: noon}, false},
	} {
		if got := test.filter.selects(l); got != test.want {
			t.Errorf("%s: selects() = %v, want %v", test.name, got, test.want)
		}
	}
}

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
		{name: "given region", revival: revival{SetRegion: alexa.FE}, attributes: map[string]string{
			"region": "MOON", "gatepost-published": published,
		}, want: map[string]string{"region": "FE", "gatepost-event-id": "dead-1", "gatepost-published": published}},
		{name: "given region, not needed", revival: revival{SetRegion: alexa.FE}, attributes: map[string]string{
			"region": "NA", "gatepost-published": published,
		}, want: map[string]string{"region": "NA", "gatepost-event-id": "dead-1", "gatepost-published": published}},
		{name: "as new", revival: revival{AsNew: true}, attributes: map[string]string{
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
		{name: "older, as new", revival: revival{AsNew: true}, data: deleteReport, age: time.Hour + 1, want: errStaleDelete},
		{name: "older, forced", revival: revival{Force: true}, data: deleteReport, age: 48 * time.Hour},
		{name: "ChangeReport of two days", data: changeReport, age: 48 * time.Hour},
		{name: "region that is none", data: changeReport, region: "eu", want: errWrongRegion},
		{name: "region that is none, forced", revival: revival{Force: true}, data: changeReport, region: "eu", want: errWrongRegion},
		{name: "region that is none, given one", revival: revival{SetRegion: alexa.EU}, data: changeReport, region: "eu"},
	} {
		l := open(dead(test.data, map[string]string{attrRegion: test.region, attrPublished: alexa.FormatTime(noon)}))
		if _, err := test.revival.revive(l, noon.Add(test.age)); !errors.Is(err, test.want) {
			t.Errorf("%s: revive() = %v, want %v", test.name, err, test.want)
		}
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
		l := open(dead(test.data, map[string]string{attrPublished: alexa.FormatTime(noon)}))
		if got := (revival{AsNew: test.asNew}).expires(l, noon.Add(test.age)); got != test.want {
			t.Errorf("%s: expires() = %v, want %v", test.name, got, test.want)
		}
	}
}
