package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gatepostdev/gatepost/shared/push"
)

// newMaker starts the maker's cloud with a Pub/Sub of its own, and returns what
// it shows.
func newMaker(t *testing.T) (*maker, *broker, *strings.Builder) {
	t.Helper()
	server := pstest.NewServerWithAddress(loopback + ":0")
	client, err := pubsub.NewClient(context.Background(), "p", option.WithEndpoint(server.Addr), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{project: "p", client: client, server: server}
	t.Cleanup(b.close)
	shown := &strings.Builder{}
	m, err := startMaker(loopback+":0", client, &screen{w: shown}, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	return m, b, shown
}

// request posts to the maker's cloud.
func request(t *testing.T, url, body string) (status int, answer string) {
	t.Helper()
	response, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(text))
}

func TestPublish(t *testing.T) {
	t.Parallel()
	m, b, _ := newMaker(t)
	if status, _ := request(t, m.url+"/publish?key=u-1/lamp-1", `{"n":0}`); status != http.StatusBadGateway {
		t.Errorf("status %d without a topic, want 502", status)
	}
	if err := b.create(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/publish?key=u-1/lamp-1&region=EU&eventId=e-1", "/publish"} {
		if status, answer := request(t, m.url+target, `{"n":1}`); status != http.StatusOK || !strings.HasPrefix(answer, `{"messageId":"m`) {
			t.Errorf("%s: %d %s", target, status, answer)
		}
	}
	if status, _ := request(t, m.url+"/publish", strings.Repeat("x", maxEventBytes+1)); status != http.StatusBadRequest {
		t.Errorf("status %d for a large event, want 400", status)
	}
	want := []*pstest.Message{
		{Data: []byte(`{"n":1}`), OrderingKey: "u-1/lamp-1", Attributes: map[string]string{"region": "EU", "eventId": "e-1"}, Topic: b.topic(deviceEvents)},
		{Data: []byte(`{"n":1}`), Topic: b.topic(deviceEvents)},
	}
	ignore := cmpopts.IgnoreFields(pstest.Message{}, "ID", "PublishTime")
	if diff := cmp.Diff(want, b.server.Messages(), ignore, cmpopts.IgnoreUnexported(pstest.Message{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("messages differ (-want +got):\n%s", diff)
	}
}

func TestPushed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, path string
		message    push.Message
		want       string
	}{
		{"linked", "/grant-events", push.Message{Data: []byte(`{"type":"linked","userId":"u-1","region":"EU","activeGrants":1}`)},
			"  grant             u-1 linked in EU, 1 active grant\n"},
		{"revoked", "/grant-events", push.Message{Data: []byte(`{"type":"revoked","userId":"u-1","region":"FE","reason":"invalid_grant","activeGrants":0}`)},
			"  grant             u-1 revoked in FE (invalid_grant), 0 active grants\n"},
		{"stale", "/grant-events", push.Message{Data: []byte(`{"type":"stale","userId":"u-1","region":"EU","endpointIds":["lamp-1","lamp-2"],"activeGrants":1}`)},
			"  grant             u-1 stale in EU, report again lamp-1, lamp-2, 1 active grant\n"},
		{"stale, all", "/grant-events", push.Message{Data: []byte(`{"type":"stale","userId":"u-1","region":"EU","discovery":true,"activeGrants":1}`)},
			"  grant             u-1 stale in EU, report again all endpoints and what was discovered, 1 active grant\n"},
		{"no grant event", "/grant-events", push.Message{Data: []byte(`linked`)},
			"  grant             message m1 does not decode: invalid character 'l' looking for beginning of value\n"},
		{"Gatepost's dead letter", "/dead-letters", push.Message{Attributes: map[string]string{
			"gatepost-event-id": "e-1", "gatepost-code": "INVALID_EVENT", "gatepost-description": "userId: missing"}},
			"  dead              event e-1 is a dead letter: INVALID_EVENT: userId: missing\n"},
		{"Pub/Sub's dead letter", "/dead-letters", push.Message{},
			"  dead              event m1 is a dead letter: given up after 100 attempts\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m, _, shown := newMaker(t)
			test.message.ID = "m1"
			body, err := push.Encode(test.message)
			if err != nil {
				t.Fatal(err)
			}
			if status, answer := request(t, m.url+test.path, string(body)); status != http.StatusNoContent {
				t.Errorf("%d %s", status, answer)
			}
			if diff := cmp.Diff(test.want, shown.String()); diff != "" {
				t.Errorf("what is shown differs (-want +got):\n%s", diff)
			}
			if status, _ := request(t, m.url+test.path, `{}`); status != http.StatusBadRequest {
				t.Errorf("status %d for what is no push, want 400", status)
			}
		})
	}
}
