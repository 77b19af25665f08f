package alexa_test

import (
	"encoding/json"
	"testing"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

func TestEndpoints(t *testing.T) {
	t.Parallel()
	removal := decode(t, `{"userId":"u-1","event":{"header":{"namespace":"Alexa.Discovery","name":"DeleteReport"},`+
		`"payload":{"a":[1],"endpoints":[ {"endpointId":"e-1"} ,{"endpointId":"e-2","x":1},{"endpointId":"e-3"}], "b":2}}}`)
	all := removal.Endpoints()
	if all.Len() != 3 {
		t.Fatalf("%d endpoints, want 3", all.Len())
	}
	whole := string(removal.Payload)
	for _, part := range []struct {
		from, to int
		want     string
	}{
		{0, 1, `{"endpoints":[{"endpointId":"e-1"}],"a":[1],"b":2}`},
		{0, 3, `{"endpoints":[{"endpointId":"e-1"},{"endpointId":"e-2","x":1},{"endpointId":"e-3"}],"a":[1],"b":2}`},
		{1, 3, `{"endpoints":[{"endpointId":"e-2","x":1},{"endpointId":"e-3"}],"a":[1],"b":2}`},
	} {
		e := removal.WithEndpoints(all.Part(part.from, part.to))
		if got := string(e.Payload); got != part.want || e.UserID != "u-1" || e.Header != removal.Header {
			t.Errorf("endpoints %d to %d: %s of %+v, want %s", part.from, part.to, got, e.Header, part.want)
		}
		if sent := e.Append(nil, "m-1", fakeToken); !json.Valid(sent) {
			t.Errorf("endpoints %d to %d are sent as %s", part.from, part.to, sent)
		}
	}
	if string(removal.Payload) != whole {
		t.Error("the event that parts were made of has changed")
	}
}

// TestEndpointsOfOthers: what is no discovery report, or a broken one, has none.
func TestEndpointsOfOthers(t *testing.T) {
	t.Parallel()
	for name, event := range map[string]string{
		"press":           example(t, "Alexa.DoorbellEventSource.DoorbellPress"),
		"change":          example(t, "Alexa.ChangeReport"),
		"other interface": `{"userId":"u-1","event":{"header":{"namespace":"Alexa.New","name":"DeleteReport"},"payload":{"endpoints":[{}]}}}`,
		"no list":         `{"userId":"u-1","event":{"header":{"namespace":"Alexa.Discovery","name":"DeleteReport"},"payload":{"endpoints":{}}}}`,
		"no endpoints":    `{"userId":"u-1","event":{"header":{"namespace":"Alexa.Discovery","name":"DeleteReport"}}}`,
	} {
		e, _, err := alexa.DecodeEvent([]byte(event), published, alexa.CheckOff)
		if err != nil {
			t.Fatal(err)
		}
		if n := e.Endpoints().Len(); n != 0 {
			t.Errorf("%s: %d", name, n)
		}
	}
}
