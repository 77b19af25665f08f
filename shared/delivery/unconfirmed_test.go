package delivery_test

import (
	"cmp"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// patient is a gateway that waits as one of [gateway.NewPatient] does. It calls
// the simulator directly, since no network reaches into a bubble.
func patient(t *testing.T, w *accesstest.World) delivery.Gateway {
	t.Helper()
	base, err := url.Parse(alexa.EU.GatewayURL())
	if err != nil {
		t.Fatal(err)
	}
	return gateway.NewPatient(alexa.EU, base, &http.Client{Transport: simulated{w.Sim}})
}

// simulated is a transport to the simulator.
type simulated struct{ http.Handler }

func (s simulated) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	defer func() {
		if recover() != nil { // the simulator gave up
			answer, err = nil, cmp.Or(r.Context().Err(), io.ErrUnexpectedEOF)
		}
	}()
	httptrace.ContextClientTrace(r.Context()).WroteHeaders()
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// TestPressIsPostedOnce: the gateway works at once on what must not be repeated,
// and answers late or never. What it refuses is sent again.
func TestPressIsPostedOnce(t *testing.T) {
	t.Parallel()
	const detection = `{"userId":"u-1","event":{"header":{"namespace":"Alexa.SmartVision.ObjectDetectionSensor","name":"ObjectDetection"},"endpoint":{"endpointId":"d"},"payload":{"events":[{}]}}}`
	for name, test := range map[string]struct {
		faults []simulator.Fault
		want   []delivery.OutcomeName // of each delivery
		posts  int
		took   time.Duration // of the first delivery
	}{
		"answers after 6 s": {[]simulator.Fault{{Status: 202, Body: " ", Delay: 6 * time.Second}},
			[]delivery.OutcomeName{delivery.Accepted, delivery.Duplicate}, 1, 6 * time.Second},
		"answers after 30 s": {[]simulator.Fault{{AnswerLost: true, Delay: 30 * time.Second}},
			[]delivery.OutcomeName{delivery.Unconfirmed, delivery.Duplicate}, 1, gateway.PatientTimeout},
		"loses the answer": {[]simulator.Fault{{AnswerLost: true}},
			[]delivery.OutcomeName{delivery.Unconfirmed, delivery.Duplicate}, 1, 0},
		"refuses once": {[]simulator.Fault{{Status: 503}, {Status: 202, Body: " "}},
			[]delivery.OutcomeName{delivery.Accepted, delivery.Duplicate}, 2, time.Second},
		"refuses for long": {[]simulator.Fault{{Status: 503, Times: 4}, {Status: 202, Body: " "}},
			[]delivery.OutcomeName{delivery.Redeliver, delivery.Accepted, delivery.Duplicate}, 5, 3 * time.Second},
		"refuses and then loses the answer": {[]simulator.Fault{{Code: simulator.Throttling}, {AnswerLost: true}},
			[]delivery.OutcomeName{delivery.Unconfirmed, delivery.Duplicate}, 2, time.Second},
	} {
		for kind, data := range map[string]string{"DoorbellPress": doorbell, "ObjectDetection": detection} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := accesstest.InBubble(t, simulator.Options{})
					w.Link(t, "u-1", alexa.EU, "amzn-1")
					w.Sim.Script(simulator.Gateway(alexa.EU), test.faults...)
					m := message(w, strings.Replace(data, "2026-01-02T03:04:05Z", w.Now().Format(time.RFC3339), 1))
					for n, want := range test.want {
						d := deliverer(t, w, alexa.EU) // each a process of its own
						d.Checks = alexa.CheckOff
						d.Patient = map[alexa.Region]delivery.Gateway{alexa.EU: patient(t, w)}
						m.Attempt = n + 1
						began := time.Now()
						r := handle(d, m)
						if len(r) != 1 || r[0].Name != want {
							t.Errorf("delivery %d: %+v, want %s", n+1, r, want)
						}
						if took := time.Since(began); n == 0 && took != test.took {
							t.Errorf("took %v, want %v", took, test.took)
						}
						time.Sleep(5 * time.Second)
					}
					ids := map[string]int{}
					for _, r := range w.Sim.Requests() {
						if r.Target == simulator.Gateway(alexa.EU) {
							ids[r.MessageID]++
						}
					}
					if posts := since(seen(w), 1); len(posts) != test.posts || len(ids) > 1 {
						t.Errorf("%v of %v, want %d of one event", posts, ids, test.posts)
					}
					sent, err := w.Store.ReadDelivery(t.Context(), grant.DeliveryKey{Customer: accesstest.Key("u-1").ID(), EventID: "m-1"})
					if err != nil || sent.State != grant.Sent {
						t.Errorf("delivery record %+v, want it Sent: %v", sent, err)
					}
				})
			})
		}
	}
}

// TestReportWithoutAnAnswer: redelivery is the resend.
func TestReportWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	silent := noAnswer(t)
	synctest.Test(t, func(t *testing.T) {
		g := &scripted{answers: []error{silent}, started: time.Now()}
		d := bubble(t, g, 0, 1)
		for n, want := range []delivery.OutcomeName{delivery.Redeliver, delivery.Accepted} {
			if r := handle(d, eventOf(1)); r[0].Name != want || len(g.asked) != n+1 {
				t.Errorf("delivery %d: %+v after %d requests, want %s", n+1, r, len(g.asked), want)
			}
		}
	})
}
