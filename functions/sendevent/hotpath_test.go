package sendevent_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gatepostdev/gatepost/functions/sendevent"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant/grantcache"
	"github.com/gatepostdev/gatepost/shared/handler"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// acceptingGateway is a transport that accepts every event, at almost no cost.
type acceptingGateway struct {
	took int
	wire []byte // the last request, if it is not nil
}

func (s *acceptingGateway) RoundTrip(r *http.Request) (*http.Response, error) {
	header := http.Header{}
	if s.wire != nil {
		header.Set("X-Amzn-Requestid", "00000000-0000-4000-8000-000000000000")
		s.wire, _ = httputil.DumpRequestOut(r, true)
	}
	_, _ = io.Copy(io.Discard, r.Body)
	_ = r.Body.Close()
	s.took++
	return &http.Response{StatusCode: http.StatusAccepted, Header: header, Body: http.NoBody, Request: r}, nil
}

// bareWriter is a ResponseWriter with the methods that the host calls.
type bareWriter struct {
	header http.Header
	status int
}

func (w *bareWriter) Header() http.Header             { return w.header }
func (w *bareWriter) Write(b []byte) (int, error)     { return len(b), nil }
func (w *bareWriter) WriteHeader(status int)          { w.status = status }
func (w *bareWriter) Flush()                          {}
func (w *bareWriter) SetReadDeadline(time.Time) error { return nil }

// hotPath is the deployed function between a stub connection and a stub gateway,
// with a customer whose token is valid.
type hotPath struct {
	t       testing.TB
	handler http.Handler
	gateway *acceptingGateway
	writer  *bareWriter
	now     time.Time
	body    []byte
	counter []byte // the part of body that differs in each message
	made    int    // requests
	served  int
}

func newHotPath(t testing.TB, log io.Writer) *hotPath {
	t.Helper()
	w := accesstest.New(t, simulator.Options{})
	w.Link(t, "u-1", alexa.EU, "amzn-1")
	p := &hotPath{t: t, gateway: new(acceptingGateway), writer: &bareWriter{header: http.Header{}}, now: w.Now()}
	url, err := url.Parse("https://api.eu.amazonalexa.com")
	if err != nil {
		t.Fatal(err)
	}
	d := delivery.New(delivery.Options{
		Skill: accesstest.Skill, Store: w.Store, Customers: grantcache.New(w.Store, 10, w.Now), Tokens: w.Process("p"), Announcer: w.Announcer(),
		Gateways:    map[alexa.Region]delivery.Gateway{alexa.EU: gateway.New(alexa.EU, url, &http.Client{Transport: p.gateway})},
		MaxEventAge: 5 * time.Minute, Draw: func() float64 { return 0 }, Now: w.Now,
	})
	f := &sendevent.Function{Deliverer: d}
	p.handler = handler.New(logging.New(log), "maker-prod", w.Now).Wrap("SendEvent", sendevent.Limits, f.Handle)
	p.body = p.pushed()
	p.counter = p.body[bytes.Index(p.body, []byte(count)):][:len(count)]
	return p
}

// count is the placeholder of the counter.
const count = "000000000000000" // with the 1 before it as long as Pub/Sub's

// pushed is the body of Pub/Sub's push request for a report of three properties.
func (p *hotPath) pushed() []byte {
	at := alexa.FormatTime(p.now)
	property := func(namespace, name, value string) string {
		return fmt.Sprintf(`{"namespace":%q,"name":%q,"value":%s,"timeOfSample":%q,"uncertaintyInMilliseconds":0}`, namespace, name, value, at)
	}
	data := fmt.Sprintf(`{"userId":"u-1","event":{"header":{"namespace":"Alexa","name":"ChangeReport"},"endpoint":{"endpointId":"lamp-1"},`+
		`"payload":{"change":{"cause":{"type":"PHYSICAL_INTERACTION"},"properties":[%s]}}},"context":{"properties":[%s,%s]}}`,
		property("Alexa.PowerController", "powerState", `"ON"`),
		property("Alexa.BrightnessController", "brightness", "55"),
		property("Alexa.EndpointHealth", "connectivity", `{"value":"OK"}`))
	body, err := push.Encode(push.Message{
		ID: "1" + count, Data: []byte(data), Attributes: map[string]string{"region": "EU"}, PublishTime: p.now,
		OrderingKey: "u-1/lamp-1", Subscription: "projects/p/subscriptions/device-events-eu", Attempt: 1,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return body
}

// serve serves one push request.
func (p *hotPath) serve() {
	p.served++
	p.handler.ServeHTTP(p.writer, p.request())
	if p.writer.status != http.StatusOK {
		p.t.Fatalf("status = %d, want 200", p.writer.status)
	}
}

// stubs does the work of the stub connection and gateway for one request.
func (p *hotPath) stubs() {
	r := p.request()
	answer, _ := new(acceptingGateway).RoundTrip(r)
	p.writer.status = answer.StatusCode
}

// request returns a push request with a new message.
func (p *hotPath) request() *http.Request {
	p.made++
	for i, n := len(count)-1, p.made; i >= 0; i, n = i-1, n/10 {
		p.counter[i] = byte('0' + n%10)
	}
	return &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: "/"}, Header: http.Header{"Content-Type": {"application/json"}},
		ContentLength: int64(len(p.body)), Body: io.NopCloser(bytes.NewReader(p.body)),
	}
}

// TestAllocations counts the allocations of an accepted event, from the pushed body
// to the answer, with every check and the log line. The garbage collector pays for
// each of them, so a change that adds any should be deliberate.
//
// Of 65, about 7 are the message (its data, attributes and other strings), 10 the
// event (strings and decoded parts), 12 the delivery (names in the log, ids, cached
// state), 17 the request to the gateway with its deadline, 11 the admission, the
// body and the deadline, 5 the log line and 3 the answer. The stubs' own are not
// counted.
func TestAllocations(t *testing.T) {
	most := 67.0
	if race {
		most += 10 // under the race detector pools drop some of their items
	}
	p := newHotPath(t, io.Discard)
	p.serve() // reads the customer and decrypts the token
	got := testing.AllocsPerRun(500, p.serve) - testing.AllocsPerRun(500, p.stubs)
	if got > most {
		t.Errorf("allocations = %v, want at most %v", got, most)
	}
	if p.gateway.took != p.served {
		t.Errorf("the gateway accepted %d events, want %d", p.gateway.took, p.served)
	}
}

// TestBytes measures what Google charges by size: the data of a published event, the
// fields of its log line as Cloud Logging stores them, and the request to the gateway.
// scripts/bench has the same figures. A field of 20 bytes more costs a cent for a
// million events.
func TestBytes(t *testing.T) {
	var log bytes.Buffer
	p := newHotPath(t, &log)
	p.gateway.wire = []byte{}
	request := p.request()
	request.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	p.handler.ServeHTTP(p.writer, request)

	var line map[string]any
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	// These become fields of the entry:
	// https://cloud.google.com/logging/docs/structured-logging#special-payload-fields
	for _, special := range []string{"time", "severity", logging.TraceID} {
		if line[special] == nil {
			t.Errorf("the line has no %s", special)
		}
		delete(line, special)
	}
	fields, err := structpb.NewStruct(line)
	if err != nil {
		t.Fatal(err)
	}
	m, err := push.Decode(p.body)
	if err != nil {
		t.Fatal(err)
	}
	expect.Equal(t, "bytes", map[string]int{"data": 662, "line": 698, "request": 1676},
		map[string]int{"data": len(m.Data), "line": proto.Size(fields), "request": len(p.gateway.wire)})
}

// BenchmarkSendEvent measures the path of TestAllocations.
func BenchmarkSendEvent(b *testing.B) {
	p := newHotPath(b, io.Discard)
	b.ReportAllocs()
	for b.Loop() {
		p.serve()
	}
}
