package doctor

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
)

// TestLocal checks what a local run consists of: the simulator, Pub/Sub in memory, and
// functions, here ones that only refuse a GET.
func TestLocal(t *testing.T) {
	t.Parallel()
	sim := simulator.New(simulator.Options{})
	amazon, err := simulator.Start(sim)
	if err != nil {
		t.Fatal(err)
	}
	defer amazon.Close()
	broker := cloud.Fake(t)
	project := cloud.At(t, broker.Addr)
	project.CreateTopic(t, "topic")
	var subscriptions []string
	for _, name := range []string{"device-events", "refresh"} {
		subscriptions = append(subscriptions, "projects/"+project.ID+"/subscriptions/"+name)
		_, err := project.PubSub.SubscriptionAdminClient.CreateSubscription(t.Context(), &pubsubpb.Subscription{
			Name: "projects/" + project.ID + "/subscriptions/" + name, Topic: "projects/" + project.ID + "/topics/topic",
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	refuses := http.StatusMethodNotAllowed
	functions := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(refuses) }))
	defer functions.Close()
	parts := &cli.Local{Functions: functions.URL, Amazon: amazon.Env(), PubSub: broker.Addr, Subscriptions: subscriptions}
	run := func() (status int, findings []Finding) {
		t.Helper()
		var out bytes.Buffer
		grammar := new(struct {
			Doctor Command `cmd:""`
		})
		env := &cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Now: time.Now, Local: parts}
		status = cli.Run(testkit.Context(t), env, grammar, []string{"doctor", "--local", "--json"})
		if err := json.Unmarshal(out.Bytes(), &findings); err != nil {
			t.Fatalf("%v: %s", err, &out)
		}
		return status, findings
	}

	status, findings := run()
	if status != cli.StatusDone || len(findings) != 6 {
		t.Errorf("status %d, %+v; want that all is well, with three gateways", status, findings)
	}

	sim.Always(simulator.Gateway("FE"), simulator.Fault{Code: simulator.InternalService})
	sim.Always(simulator.Exchange, simulator.Fault{Code: simulator.LWAInvalidClient})
	refuses = http.StatusNotFound
	_ = project.PubSub.SubscriptionAdminClient.DeleteSubscription(t.Context(), &pubsubpb.DeleteSubscriptionRequest{
		Subscription: "projects/" + project.ID + "/subscriptions/refresh",
	})
	status, findings = run()
	for check, sentence := range map[string]string{
		"functions": "RefreshTokens answers 404 to a GET, want 405", "LWA client": "client refused", "subscriptions": "refresh at ",
		"event gateway": "FE",
	} {
		found := false
		for _, f := range findings {
			found = found || f.Check == check && f.Severity != Well && strings.Contains(f.Found, sentence)
		}
		if !found {
			t.Errorf("%s: no finding with %q in %+v", check, sentence, findings)
		}
	}
	if status != cli.StatusFailed {
		t.Errorf("status %d, want 1", status)
	}
}
