package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/scripts/internal/console"
	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// rig is a whole Gatepost with its console.
type rig struct {
	t       *testing.T
	url     string
	amazon  *simulator.Simulator
	console *console.Console
	run     *oneprocess.Gatepost
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, amazon: simulator.New(simulator.Options{TokenLifetime: 10 * time.Minute})}
	r.console = console.New(r.amazon, grantmem.New(), time.Now)
	var err error
	r.run, err = oneprocess.Start(t.Context(), oneprocess.Options{
		Project: "p", Amazon: r.amazon, Store: r.console.Store(), SimulatorAt: simulator.Addresses{Front: r.console.Front},
		MinBackoff: 100 * time.Millisecond, MaxBackoff: time.Second, Grace: 100 * time.Millisecond,
		OnLine:       func(l oneprocess.Line) { r.console.AddLine(l.JSON(), l.Pushed) },
		OnDeadLetter: r.console.AddLetter, OnFailure: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	r.console.Start(r.run)
	t.Cleanup(func() { r.console.Stop(); r.run.Stop() })
	r.url = strings.TrimSuffix(r.run.Amazon.ControlURL, "/simulator")
	return r
}

type object = map[string]any

// call calls the API, and decodes the answer.
func (r *rig) call(method, path string, body any, into any) int {
	r.t.Helper()
	text, isText := body.(string)
	if !isText {
		encoded, err := json.Marshal(body)
		if err != nil {
			r.t.Fatal(err)
		}
		text = string(encoded)
	}
	status, answer := r.request(method, path, text)
	if into != nil {
		if err := json.Unmarshal([]byte(answer), into); err != nil {
			r.t.Fatalf("%s %s answered %d %s: %v", method, path, status, answer, err)
		}
	} else if status != http.StatusOK {
		r.t.Errorf("%s %s answered %d %s", method, path, status, answer)
	}
	return status
}

// request sends a request with some headers, and returns the answer.
func (r *rig) request(method, path, body string, header ...string) (status int, answer string) {
	r.t.Helper()
	return testkit.Request(r.t, method, r.url+path, body, header...)
}

func (r *rig) link(user, region string) {
	r.t.Helper()
	r.call("POST", "/api/customers", object{"do": "link", "userId": user, "region": region}, nil)
}

// lamp is a report that a lamp is on or off.
func lamp(user, endpoint, value string) object {
	return object{"userId": user, "endpointId": endpoint, "cause": "PHYSICAL_INTERACTION", "changed": []object{
		{"namespace": "Alexa.PowerController", "name": "powerState", "value": value},
	}}
}

func (r *rig) publish(event any) string {
	r.t.Helper()
	var answer struct{ ID string }
	if status := r.call("POST", "/api/events", object{"event": event}, &answer); status != 200 {
		r.t.Fatalf("publishing answered %d", status)
	}
	return answer.ID
}

// row waits until the row of an event has an outcome, and returns it.
func (r *rig) row(id, outcome string) console.Row {
	r.t.Helper()
	var row console.Row
	r.until(func() bool {
		row = r.detail(id).Row
		return row.Outcome == outcome
	}, func() string { return fmt.Sprintf("event %s: %+v, want %s", id, row, outcome) })
	return row
}

// until waits until a condition is met.
func (r *rig) until(met func() bool, why func() string) {
	r.t.Helper()
	ctx := testkit.Context(r.t)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !met() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			r.t.Fatal(why())
		}
	}
}

// detail is the answer about an event, as far as tests read it.
type detail struct {
	Row   console.Row
	Story struct {
		Verdict, Happened string
		Links             []struct{ Step, Value, Fault string }
	}
	Published struct {
		Data       any
		Attributes map[string]string
	}
	Sent []struct {
		Target string
		Status int
		Body   any
		Answer any
		Fault  bool
	}
	Lines []object
}

func (r *rig) detail(id string) (d detail) {
	r.t.Helper()
	r.call("GET", "/api/events/"+id, "", &d)
	return d
}

func (r *rig) steps(id string) (steps []string) {
	r.t.Helper()
	for _, l := range r.detail(id).Story.Links {
		steps = append(steps, strings.TrimSuffix(l.Step+": "+l.Fault, ": "))
	}
	return steps
}

func TestStory(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.link("u-1", "EU")
	r.amazon.ExpireAccessTokens(alexa.EU, "amzn-u-1")
	var answer struct{ ID string }
	r.call("POST", "/api/events", object{"event": lamp("u-1", "lamp-1", "ON"), "attributes": object{"eventId": "e-1"}}, &answer)
	id := answer.ID
	row := r.row(id, "accepted")
	if row.Customer != "u-1" || row.Endpoint != "lamp-1" || row.What != "powerState = ON" ||
		row.Region != "EU" || row.Tone != "good" || row.Tries != 2 {
		t.Errorf("row = %+v", row)
	}
	want := []string{
		"published", "subscription", "attempt 1", "customer", "token", "gateway: INVALID_ACCESS_TOKEN_EXCEPTION",
		"customer", "token", "gateway", "grant",
	}
	if diff := cmp.Diff(want, slices.DeleteFunc(r.steps(id), func(s string) bool { return s == "wait" })); diff != "" {
		t.Errorf("steps differ (-want +got):\n%s", diff)
	}
	d := r.detail(id)
	if !strings.HasPrefix(d.Story.Happened, "Alexa accepted it in EU") || len(d.Sent) != 3 || len(d.Lines) != 1 {
		t.Errorf("detail = %+v", d)
	}
	if body := fmt.Sprint(d.Sent[2].Body); !strings.Contains(body, "token:[redacted]") {
		t.Errorf("sent = %s", body)
	}

	var again struct{ ID string }
	r.call("POST", "/api/events/"+id+"/repeat", "", &again)
	r.row(again.ID, "accepted")
	if steps := r.steps(again.ID); !slices.Contains(steps, "token") || slices.Contains(steps, "wait") {
		t.Errorf("steps = %q", steps)
	}
	if status := r.call("GET", "/api/events/none", "", new(object)); status != 404 {
		t.Errorf("status = %d for an unknown event", status)
	}
}

// TestOutcomes tells the stories of events that do not simply arrive.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, user := range []string{"u-1", "u-2", "u-3"} {
		r.link(user, "EU")
	}
	trouble := func(kind string, off bool) {
		r.call("POST", "/api/trouble", object{"kind": kind, "region": "EU", "off": off}, nil)
	}
	trouble("throttled", false)
	throttled := r.publish(lamp("u-1", "lamp-1", "ON"))
	if row := r.row(throttled, "retry"); row.Tone != "wait" {
		t.Errorf("throttled: %+v", row)
	}
	if d := r.detail(throttled); d.Story.Verdict != "retry" || !strings.Contains(d.Story.Happened, "THROTTLING") || !d.Sent[0].Fault {
		t.Errorf("throttled: %+v", d)
	}
	held := r.publish(lamp("u-1", "lamp-1", "OFF"))
	if d := r.detail(held); d.Row.Outcome != "waiting" || d.Story.Verdict != "held_back" {
		t.Errorf("held back: %+v", d)
	}
	trouble("throttled", true)
	if row := r.row(throttled, "accepted"); row.Attempts < 2 || !strings.Contains(row.Why, "THROTTLING") {
		t.Errorf("throttled, later: %+v", row)
	}
	if d := r.detail(throttled); len(d.Sent) != d.Row.Tries {
		t.Errorf("%d requests are shown of %d tries in %d attempts", len(d.Sent), d.Row.Tries, d.Row.Attempts)
	}

	r.row(held, "accepted")
	trouble("malformed", false)
	dead := r.publish(lamp("u-2", "lamp-1", "ON"))
	r.row(dead, "dead_letter")
	trouble("malformed", true)
	if d := r.detail(dead); !strings.HasPrefix(d.Story.Happened, "It can never be delivered as it is: INVALID_REQUEST") {
		t.Errorf("dead letter: %+v", d)
	}
	var letters struct {
		Letters []struct {
			ID, Code, Customer string
			Replays            []string
		}
	}
	r.until(func() bool {
		r.call("GET", "/api/letters", "", &letters)
		return len(letters.Letters) == 1
	}, func() string { return fmt.Sprint(letters) })
	letter := letters.Letters[0]
	if letter.Code != "INVALID_REQUEST_EXCEPTION" || letter.Customer != "u-2" {
		t.Errorf("letter = %+v", letter)
	}
	var replayed struct{ ID string }
	r.call("POST", "/api/letters/"+letter.ID, "", &replayed)
	r.row(replayed.ID, "accepted")
	attributes := r.detail(replayed.ID).Published.Attributes
	if attributes["gatepost-grant"] == "" || attributes["gatepost-event-id"] != dead ||
		attributes["gatepost-code"] != "" || attributes["region"] != "EU" {
		t.Errorf("the attributes of the replay: %v", attributes)
	}

	r.call("POST", "/api/customers", object{"do": "disable", "userId": "u-3", "region": "EU", "amazonUser": "amzn-u-3"}, nil)
	revoked := r.publish(lamp("u-3", "lamp-1", "ON"))
	r.row(revoked, "revoked")
	since := regexp.MustCompile(`^The customer has unlinked, since [0-9: -]+ \(`)
	if d := r.detail(revoked); d.Story.Verdict != "revoked" || !since.MatchString(d.Story.Happened) {
		t.Errorf("revoked: %+v", d)
	}

	older := lamp("u-2", "lamp-9", "ON")
	newer := lamp("u-2", "lamp-9", "OFF")
	older["changed"].([]object)[0]["timeOfSample"] = alexa.FormatTime(time.Now().Add(-time.Minute))
	newer["changed"].([]object)[0]["timeOfSample"] = alexa.FormatTime(time.Now())
	r.row(r.publish(newer), "accepted")
	var superseded struct{ ID string }
	r.call("POST", "/api/events", object{"event": older, "attributes": object{
		"gatepost-published": alexa.FormatTime(time.Now().Add(-time.Minute)), "gatepost-event-id": "old",
	}}, &superseded)
	r.row(superseded.ID, "superseded")

	r.row(r.publish(lamp("u-9", "lamp-1", "ON")), "no_grant")
	var text struct{ ID string }
	r.call("POST", "/api/events", object{"text": "{not JSON"}, &text)
	r.row(text.ID, "dead_letter")
	if d := r.detail(text.ID); d.Published.Data != "{not JSON" {
		t.Errorf("published = %v", d.Published.Data)
	}
}

func TestFailedLinksAndSkillEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, _ = r.run.Post(testkit.Context(t), "AcceptGrant", map[string]string{"X-Alexa-Region": "EU"}, []byte(`{"directive":{"header":{`+
		`"namespace":"Alexa.Authorization","name":"AcceptGrant","payloadVersion":"3","messageId":"m"},"payload":{"grant":{`+
		`"type":"OAuth2.AuthorizationCode","code":"wrong"},"grantee":{"type":"BearerToken","token":"grantee-u-1"}}}}`))
	_, _ = r.run.Post(testkit.Context(t), "SkillEvent", nil, []byte(`{}`))
	var list struct{ Events []console.Row }
	r.until(func() bool {
		r.call("GET", "/api/events", "", &list)
		return len(list.Events) >= 2
	}, func() string { return fmt.Sprint(list) })
	for _, row := range list.Events {
		if row.Tone != "bad" || row.Outcome != "failed" && row.Outcome == "" || row.Why == "" {
			t.Errorf("row = %+v", row)
		}
	}
}

func TestCustomers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	type customers struct {
		Customers []struct {
			UserID string
			Grants []struct {
				Region, AmazonUser, State string
				Refreshes                 int
				Alexa                     map[string][]struct {
					Name  string
					Value any
				}
			}
		}
	}
	list := func() (all customers) {
		t.Helper()
		r.call("GET", "/api/customers", "", &all)
		return all
	}
	r.link("u-1", "EU")
	r.row(r.publish(lamp("u-1", "lamp-1", "ON")), "accepted")
	all := list()
	if g := all.Customers[0].Grants[0]; g.Region != "EU" || g.AmazonUser != "amzn-u-1" || g.State != "active" ||
		g.Alexa["lamp-1"][0].Value != "ON" {
		t.Errorf("grant = %+v", g)
	}
	act := func(do, region string) {
		t.Helper()
		r.call("POST", "/api/customers", object{"do": do, "userId": "u-1", "region": region, "amazonUser": "amzn-u-1"}, nil)
	}
	act("expire", "EU")
	r.call("POST", "/api/sweep", "", nil)
	r.until(func() bool { return list().Customers[0].Grants[0].Refreshes > 0 }, func() string { return "no token was refreshed" })
	act("relink", "EU")
	act("account", "EU")
	if all = list(); len(all.Customers[0].Grants) != 2 || all.Customers[0].Grants[0].AmazonUser != "amzn-u-1~2" {
		t.Errorf("after another account: %+v", all)
	}
	act("move", "FE")
	if g := list().Customers[0].Grants[0]; g.Region != "FE" {
		t.Errorf("after the move: %+v", g)
	}
	r.call("POST", "/api/sweep", "", nil)
	r.until(func() bool {
		grants := list().Customers[0].Grants
		return grants[0].State == "active" && grants[1].State == "revoked" && grants[2].State == "revoked"
	}, func() string { return fmt.Sprintf("the grants of the old region: %+v", list()) })
	act("erase", "")
	if all = list(); len(all.Customers) != 0 {
		t.Errorf("after erasing: %+v", all)
	}
	for body, want := range map[string]string{
		`{"do":"dance","userId":"u-1","region":"EU"}`:                     `"do" is "dance"`,
		`{"do":"expire","userId":"u-1","region":"EU","amazonUser":"no"}`:  "no has never enabled",
		`{"do":"disable","userId":"u-1","region":"EU","amazonUser":"no"}`: "no has never enabled",
		`{"do":"link","userId":"u-1","region":"XX"}`:                      `"region"`,
		`{"do":"link"}`:   `"userId" is missing`,
		`{"did":"link"}`:  "unknown field",
		`{"do":"link"`:    "the body",
		`{"userId":"u"}`:  `"region"`,
		`{"region":"EU"}`: `"userId" is missing`,
	} {
		var answer struct{ Error string }
		if status := r.call("POST", "/api/customers", body, &answer); status != 400 || !strings.Contains(answer.Error, want) {
			t.Errorf("%s: %d %s, want %s", body, status, answer.Error, want)
		}
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	type trouble struct {
		Kinds []struct {
			Name  string
			Login bool
		}
		On []struct {
			Kind, Region, AmazonUser string
			Share                    int
			Until                    time.Time
		}
		Other    int
		Breakers map[string]struct {
			State string
			Room  int
		}
	}
	get := func() (now trouble) {
		t.Helper()
		r.call("GET", "/api/trouble", "", &now)
		return now
	}
	for _, k := range get().Kinds {
		r.call("POST", "/api/trouble", object{"kind": k.Name, "region": "NA", "share": 30}, nil)
		on := get().On
		if len(on) != 1 || on[0].Kind != k.Name || (on[0].Region == "NA") == k.Login || on[0].Share != 30 {
			t.Errorf("on = %+v", on)
		}
		r.call("POST", "/api/trouble", object{"kind": k.Name, "region": "NA", "off": true}, nil)
		if on := get().On; len(on) != 0 {
			t.Errorf("still on: %+v", on)
		}
	}
	r.call("POST", "/api/trouble", object{"preset": "outage", "region": "EU"}, nil)
	if on := get().On; len(on) != 1 || on[0].Kind != "unavailable" || time.Until(on[0].Until) < 59*time.Minute {
		t.Errorf("on = %+v", on)
	}
	r.call("POST", "/api/trouble", object{"preset": "everybody-401", "region": "EU", "for": "1m"}, nil)
	r.amazon.Always(simulator.Refresh, simulator.Fault{Status: 500})
	if now := get(); len(now.On) != 2 || now.Other != 1 {
		t.Errorf("%+v", now)
	}
	r.call("DELETE", "/api/trouble", "", nil)
	if now := get(); len(now.On)+now.Other != 0 {
		t.Errorf("%+v", now)
	}
	for body, want := range map[string]string{
		`{"kind":"rain"}`:                                `named "rain"`,
		`{"kind":"throttled","region":"XX"}`:             `"region"`,
		`{"kind":"throttled","region":"EU","share":101}`: `"share"`,
		`{"kind":"throttled","region":"EU","for":"x"}`:   `"for"`,
		`{"preset":"chatty","region":"EU"}`:              "no customer has linked in EU",
	} {
		var answer struct{ Error string }
		if status := r.call("POST", "/api/trouble", body, &answer); status != 400 || !strings.Contains(answer.Error, want) {
			t.Errorf("%s: %d %s, want %s", body, status, answer.Error, want)
		}
	}
	for i := range 12 {
		r.link(fmt.Sprintf("u-%d", i), "EU")
	}
	r.call("POST", "/api/trouble", object{"kind": "unavailable", "region": "EU"}, nil)
	for i := range 12 {
		r.publish(lamp(fmt.Sprintf("u-%d", i), "lamp-1", "ON"))
	}
	r.until(func() bool { return get().Breakers["gateway EU"].State == "open" }, func() string { return "the breaker did not open" })
	r.call("DELETE", "/api/trouble", "", nil)
	r.call("POST", "/api/trouble", object{"preset": "chatty", "region": "EU"}, nil)
	var list struct{ Events []console.Row }
	r.until(func() bool {
		r.call("GET", "/api/events?text=dimmer", "", &list)
		return len(list.Events) > 0
	}, func() string { return "the chatty customer publishes nothing" })
	for n := 0; get().Breakers["gateway EU"].Room < 2; n++ { // the ramp needs events that succeed
		r.row(r.publish(lamp(fmt.Sprintf("u-%d", n%12), "lamp-2", "ON")), "accepted")
	}
}

func TestExamplesAndLint(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var catalogue struct {
		Examples []struct {
			Name  string
			Event json.RawMessage
		}
	}
	r.call("GET", "/api/examples", "", &catalogue)
	files, err := os.ReadDir("../../../shared/alexa/examples")
	if err != nil || len(catalogue.Examples) != len(files)-2 {
		t.Fatalf("%d examples of %d, %v", len(catalogue.Examples), len(files), err)
	}
	type findings struct {
		Findings []struct {
			Severity, Path, Problem string
			Line                    int
		}
	}
	for _, e := range catalogue.Examples {
		var found findings
		r.call("POST", "/api/lint", string(e.Event), &found)
		for _, f := range found.Findings {
			if f.Severity == "error" {
				t.Errorf("%s: %+v", e.Name, f)
			}
		}
	}
	var found findings
	r.call("POST", "/api/lint", "{\n\"userId\":\"u-1\",\"endpointId\":\"lamp-1\",\"cause\":\"RAIN\",\"changed\":[]}", &found)
	if len(found.Findings) < 2 || found.Findings[1].Line != 2 {
		t.Errorf("findings = %+v", found)
	}
	var answer struct{ Error string }
	if status := r.call("POST", "/api/lint", "", &answer); status != 400 || !strings.Contains(answer.Error, "is empty") {
		t.Errorf("%d %s", status, answer.Error)
	}
}

// TestStream reads server-sent events: all rows, then those that change, also after a
// break.
func TestStream(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.link("u-1", "EU")
	first := r.publish(lamp("u-1", "lamp-1", "ON"))
	r.row(first, "accepted")
	next := func(lines *bufio.Scanner) (id string, rows []console.Row) {
		t.Helper()
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				id = value
			case "data":
				if id != "" {
					if err := json.Unmarshal([]byte(value), &rows); err != nil {
						t.Fatal(err)
					}
					return id, rows
				}
			}
		}
		t.Fatal("the stream ended")
		return "", nil
	}
	open := func(last string) (*bufio.Scanner, context.CancelFunc) {
		t.Helper()
		ctx, cancel := context.WithCancel(testkit.Context(t))
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/api/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Last-Event-ID", last)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		scanner := bufio.NewScanner(response.Body)
		scanner.Buffer(nil, 1<<22)
		return scanner, cancel
	}
	has := func(rows []console.Row, id string) bool {
		return slices.ContainsFunc(rows, func(row console.Row) bool { return row.ID == id })
	}
	lines, cancel := open("")
	_, rows := next(lines)
	if !has(rows, first) {
		t.Errorf("rows = %+v", rows)
	}
	second := r.publish(lamp("u-1", "lamp-1", "OFF"))
	id, rows := next(lines)
	if !has(rows, second) || has(rows, first) {
		t.Errorf("rows = %+v", rows)
	}
	cancel()
	r.row(second, "accepted")
	third := r.publish(lamp("u-1", "lamp-1", "ON"))
	lines, cancel = open(id)
	if _, rows = next(lines); !has(rows, third) && !has(rows, second) || has(rows, first) {
		t.Errorf("rows after a break = %+v", rows)
	}
	cancel()
	lines, cancel = open("1.999999")
	if _, rows = next(lines); !has(rows, first) {
		t.Errorf("rows after another run = %+v", rows)
	}
	cancel()
	r.call("DELETE", "/api/events", "", nil)
	lines, cancel = open(id)
	defer cancel()
	if _, rows = next(lines); has(rows, first) {
		t.Errorf("rows after clearing = %+v", rows)
	}
}

// TestBounds publishes more than is kept.
func TestBounds(t *testing.T) {
	t.Parallel()
	c := console.New(simulator.New(simulator.Options{}), grantmem.New(), time.Now)
	for i := range 4500 {
		line := fmt.Sprintf(`{"time":"2026-01-02T03:04:05Z","severity":"INFO","function":"SendEvent","event_id":"m%d","outcome":"accepted"}`, i)
		c.AddLine([]byte(line), &push.Message{ID: fmt.Sprintf("m%d", i), Data: []byte("{}")})
		c.AddLine([]byte(`{"time":"2026-01-02T03:04:05Z","severity":"INFO","message":"ready"}`), nil)
		c.AddLine([]byte(`{"time":"2026-01-02T03:04:05Z","severity":"INFO","message":"SkillEvent","status":405}`), nil) // of gatepost doctor
		c.AddLetter(push.Message{ID: fmt.Sprint(i)})
	}
	r := &rig{t: t}
	server := httptest.NewServer(c.Front(http.NotFoundHandler()))
	t.Cleanup(server.Close)
	r.url = server.URL
	var list struct{ Events, Letters []object }
	r.call("GET", "/api/events", "", &list)
	r.call("GET", "/api/letters", "", &list)
	if len(list.Events) != 2000 || list.Events[0]["id"] != "m4499" || len(list.Letters) != 500 {
		t.Errorf("%d events, the newest %v, %d letters", len(list.Events), list.Events[0], len(list.Letters))
	}
	if status := r.call("POST", "/api/events", object{"event": object{}}, new(object)); status != 503 {
		t.Errorf("status %d before the start, want 503", status)
	}
}

// TestDoors: only this machine may read, and only this page may change.
func TestDoors(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	port := r.url[strings.LastIndex(r.url, ":"):]
	for _, test := range []struct {
		method, path, host, origin string
		want                       int
	}{
		{"GET", "/", "127.0.0.1" + port, "", 200},
		{"GET", "/", "localhost" + port, "", 200},
		{"GET", "/", "[::1]" + port, "", 200},
		{"GET", "/", "console.example.com" + port, "", 403},
		{"GET", "/api/events", "192.0.2.1", "", 403},
		{"GET", "/simulator/counts", "console.example.com", "", 403},
		{"GET", "/simulator/counts", "localhost", "https://example.com", 200},
		{"DELETE", "/api/events", "127.0.0.1" + port, "http://127.0.0.1" + port, 200},
		{"DELETE", "/api/events", "127.0.0.1" + port, "https://example.com", 403},
		{"DELETE", "/api/events", "127.0.0.1" + port, "http://127.0.0.1:1", 403},
		{"DELETE", "/api/events", "127.0.0.1" + port, "null", 403},
		{"DELETE", "/simulator/faults", "127.0.0.1" + port, "https://example.com", 403},
		{"GET", "/page/", "localhost", "", 404},
	} {
		header := []string{"Host", test.host}
		if test.origin != "" {
			header = append(header, "Origin", test.origin)
		}
		if status, _ := r.request(test.method, test.path, "", header...); status != test.want {
			t.Errorf("%+v: status %d", test, status)
		}
	}
	for _, route := range console.Routes() {
		method, path, _ := strings.Cut(route, " ")
		if status, _ := r.request(method, path, "{}", "Host", "console.example.com"); status != 403 {
			t.Errorf("%s for another host: status %d", route, status)
		}
		if method == "GET" { // another page may send it, and may not read the answer
			continue
		}
		if status, _ := r.request(method, path, "{}", "Origin", "https://example.com"); status != 403 {
			t.Errorf("%s for another origin: status %d", route, status)
		}
	}
}

// BenchmarkAddLine is what the console adds to an event of the local run while no page is
// open. A deployment has no console.
func BenchmarkAddLine(b *testing.B) {
	c := console.New(simulator.New(simulator.Options{}), grantmem.New(), time.Now)
	event, _ := json.Marshal(lamp("u-1", "lamp-1", "ON"))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		id := strconv.Itoa(n)
		c.AddLine([]byte(`{"time":"2026-01-02T03:04:05Z","severity":"INFO","function":"SendEvent","event_id":"`+id+`","outcome":"accepted"}`),
			&push.Message{ID: id, Data: event})
	}
}

// TestNoSecrets reads everything that the API has, after requests with every token.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.link("u-1", "EU")
	r.amazon.ExpireAccessTokens(alexa.EU, "amzn-u-1")
	r.row(r.publish(lamp("u-1", "lamp-1", "ON")), "accepted")
	secretive := lamp("u-1", "lamp-2", "ON")
	secretive["event"] = object{"endpoint": object{"scope": object{"type": "BearerToken", "token": "canary-1"}}}
	ids := []string{r.publish(secretive)}
	for _, text := range []string{`{"token":"canary-2"`, `{"userId":"Atza|canary-3","endpointId":"Atzr|canary-4"}`} {
		var answer struct{ ID string }
		r.call("POST", "/api/events", object{"text": text}, &answer)
		ids = append(ids, answer.ID)
	}
	var all strings.Builder
	for _, id := range ids {
		r.row(id, "dead_letter")
		_, text := r.request("GET", "/api/events/"+id, "")
		all.WriteString(text)
	}
	r.until(func() bool {
		_, text := r.request("GET", "/api/letters", "")
		all.WriteString(text)
		return strings.Count(text, `"replays"`) == 3
	}, func() string { return "letters are missing" })
	for _, path := range []string{"/", "/api/events", "/api/customers", "/api/trouble", "/api/examples"} {
		_, text := r.request("GET", path, "")
		all.WriteString(text)
	}
	for _, secret := range []string{"canary", "Atza|", "Atzr|", simulator.DefaultClient().Secret.Reveal(), "ANfake"} {
		if i := strings.Index(all.String(), secret); i >= 0 {
			t.Errorf("%s is shown: %.200s", secret, all.String()[max(0, i-100):])
		}
	}
}

// TestReadme: README.md documents each route, and no other.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, found := range regexp.MustCompile("(?m)^\\| `((?:GET|POST|DELETE) /api/[^`]*)`").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, found[1])
	}
	slices.Sort(documented)
	if diff := cmp.Diff(console.Routes(), documented); diff != "" {
		t.Errorf("the documented routes differ (-code +README.md):\n%s", diff)
	}
	for _, name := range []string{"story", "trouble"} {
		if info, err := os.Stat("screenshots/" + name + ".png"); err != nil || info.Size() > 200<<10 {
			t.Errorf("the screenshot %s: %v, or over 200 KB", name, err)
		}
	}
	r := newRig(t)
	r.link("u-1", "EU")
	curl := regexp.MustCompile(`(?m)^curl (?:-X (\w+) )?(?:-d '([^']*)' )?'?http://127.0.0.1:8090(/api/[^\s']*)'?$`)
	for _, found := range curl.FindAllStringSubmatch(string(text), -1) {
		method := found[1]
		if method == "" && found[2] != "" {
			method = "POST"
		}
		if status, answer := r.request(method, found[3], found[2]); status != 200 {
			t.Errorf("%s: %d %s", found[0], status, answer)
		}
	}
}
