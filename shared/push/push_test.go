package push_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/push"
)

var whole = push.Message{
	ID: "77", Data: []byte("hello"), Attributes: map[string]string{"region": "EU"},
	PublishTime: time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC),
	OrderingKey: "u-1/lamp-1", Subscription: "projects/p/subscriptions/s", Attempt: 2,
}

func TestDecode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body string
		want       push.Message
	}{
		{"real", `{"deliveryAttempt":2,"message":{"attributes":{"region":"EU"},"data":"aGVsbG8=","messageId":"77","message_id":"77",` +
			`"orderingKey":"u-1/lamp-1","publishTime":"2026-01-02T03:04:05.678Z","publish_time":"2026-01-02T03:04:05.678Z"},` +
			`"subscription":"projects/p/subscriptions/s"}`, whole},
		{"emulator", `{"subscription":"s","message":{"publishTime":"2026-01-02T03:04:05.678Z","data":"aGVsbG8=","messageId":"1",` +
			`"attributes":{},"message_id":"1"}}`,
			push.Message{ID: "1", Data: []byte("hello"), Attributes: map[string]string{}, PublishTime: whole.PublishTime, Subscription: "s"}},
		{"no data", `{"message":{"messageId":"1"}}`, push.Message{ID: "1"}},
	}
	for _, test := range tests {
		got, err := push.Decode([]byte(test.body))
		if err != nil {
			t.Errorf("%s: Decode() error = %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", test.name, diff)
		}
	}
	body, err := push.Encode(whole)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := push.Decode(body); err != nil || !cmp.Equal(whole, got) {
		t.Errorf("Decode(Encode()) = %+v, %v; want %+v", got, err, whole)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:                           "not a Pub/Sub message: not JSON, or a field of the wrong type",
		`[]`:                         "not a Pub/Sub message: not JSON, or a field of the wrong type",
		`{"message":{"data":"%%%"}}`: "not a Pub/Sub message: not JSON, or a field of the wrong type",
		`{"message":{"messageId":"1","publishTime":"x"}}`: "not a Pub/Sub message: not JSON, or a field of the wrong type",
		`{}`:                          "not a Pub/Sub message: message: missing",
		`{"message":null}`:            "not a Pub/Sub message: message: missing",
		`{"message":{"data":"aGk="}}`: "not a Pub/Sub message: message.messageId: missing",
	} {
		if _, err := push.Decode([]byte(body)); err == nil || err.Error() != want {
			t.Errorf("Decode(%s) = %v, want %s", body, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	body, err := push.Encode(whole)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := push.Decode(body)
		if err != nil {
			return
		}
		again, err := push.Encode(m)
		if err != nil {
			return // a year that JSON times cannot hold
		}
		if twice, err := push.Decode(again); err != nil || !cmp.Equal(m.Data, twice.Data) && len(m.Data) > 0 || m.ID != twice.ID {
			t.Errorf("error = %v after %s", err, again)
		}
	})
}
