package push

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const pushed = `{"deliveryAttempt":2,"message":{"attributes":{"region":"EU","eventId":"e-1"},"data":"aGVsbG8=","messageId":"77",` +
	`"message_id":"77","orderingKey":"u-1/lamp-1",` +
	`"publishTime":"2026-01-02T03:04:05.678Z","publish_time":"2026-01-02T03:04:05.678Z"},"subscription":"projects/p/subscriptions/s"}`

// TestPlain: Pub/Sub's requests have the plain form, without which the form would
// be useless.
func TestPlain(t *testing.T) {
	t.Parallel()
	byEncode, err := Encode(Message{ID: "1", Data: []byte("x"), Attributes: map[string]string{"a": "b"}, PublishTime: time.Unix(1, 5),
		OrderingKey: "k", Attempt: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"pushed": pushed, "encoded": string(byEncode), "spaced": strings.NewReplacer(":{", " : {\n\t", `,"`, "\r\n , \"").Replace(pushed),
		"no data": `{"message":{"messageId":"1","attributes":{},"data":""}}`,
	} {
		if _, ok := decodePlain([]byte(body)); !ok {
			t.Errorf("%s is not plain", name)
		}
	}
}

// odd are bodies without the plain form, valid or not.
var odd = []string{
	``, `{`, `{}`, `[]`, `null`, `{"message":null}`, `{"message":{}}`, `{"message":{"messageId":""}}`,
	`{"message":{"messageId":"1"}} x`, `{"message":{"messageId":"1"}`, `{"message":{"messageId":"1"},}`, `{"message":{"messageId":"1",}}`,
	`{"message":{"messageId":"1"}}}`,
	`{"message":{"messageId":"1"},"message":{"messageId":"2"}}`, `{"message":{"messageId":"1","messageId":"2"}}`,
	`{"message":{"messageId":"1","more":"2"}}`, `{"message":{"messageId":"1"},"more":2}`, `{"MESSAGE":{"messageId":"1"}}`,
	`{"message":{"messageId":"\u0031"}}`, `{"message":{"messageId":"ä"}}`, "{\"message\":{\"messageId\":\"\xff\"}}",
	"{\"message\":{\"messageId\":\"1\n\"}}",
	`{"message":{"messageId":1}}`, `{"message":{"messageId":"1","data":"%%%"}}`, `{"message":{"messageId":"1","data":null}}`,
	`{"message":{"messageId":"1","publishTime":"x"}}`, `{"message":{"messageId":"1","publishTime":"2026-01-02 03:04:05Z"}}`,
	`{"message":{"messageId":"1","attributes":{"a":1}}}`, `{"message":{"messageId":"1","attributes":["a"]}}`,
	`{"message":{"messageId":"1"},"deliveryAttempt":01}`, `{"message":{"messageId":"1"},"deliveryAttempt":-1}`,
	`{"message":{"messageId":"1"},"deliveryAttempt":1.5}`,
	`{"message":{"messageId":"1"},"deliveryAttempt":99999999999999999999}`, `{"message":{"messageId":"1"},"deliveryAttempt":"1"}`,
	`{"message":{"messageId":"1"},"deliveryAttempt":}`,
	`{"message":{"messageId" "1"}}`, `{"message":{"messageId":"1" "data":""}}`, `{message:{"messageId":"1"}}`,
}

func TestOddIsNotPlain(t *testing.T) {
	t.Parallel()
	for _, body := range odd {
		if m, ok := decodePlain([]byte(body)); ok {
			t.Errorf("%s is plain: %+v", body, m)
		}
	}
}

// FuzzPlain: both decoders agree on every plain body.
func FuzzPlain(f *testing.F) {
	f.Add([]byte(pushed))
	for _, body := range odd {
		f.Add([]byte(body))
	}
	for n := range 3 {
		f.Add(fmt.Appendf(nil, `{"message":{"messageId":"1","attributes":{"a":"b","a":"c"},"data":"%s"},"deliveryAttempt":%d}`,
			strings.Repeat("QUJD", n), n))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, ok := decodePlain(body)
		if !ok {
			return
		}
		want, err := decodeJSON(body)
		if err != nil {
			t.Fatalf("%s is plain, but Decode() = %v", body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s differs (-encoding/json +plain):\n%s", body, diff)
		}
	})
}
