package main

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// report is a device event of u-1.
func report(endpointID string) string {
	return `{"userId":"u-1","endpointId":"` + endpointID + `","cause":"APP_INTERACTION","changed":[` +
		`{"namespace":"Alexa.PowerController","name":"powerState","value":"ON"}]}`
}

// find returns what the last group of a pattern matches in what was shown.
func (p *program) find(pattern string) string {
	p.t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(p.shown.String())
	if found == nil {
		p.t.Fatalf("nothing like %s is shown", pattern)
	}
	return found[len(found)-1]
}

// post sends a body to a part of the program, by the name it is shown under,
// and returns the answer.
func (p *program) post(part, path, body string) string {
	p.t.Helper()
	target := p.find(`(?m)^  `+part+` +(http://\S+)$`) + path
	response, err := http.Post(target, "application/json", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		p.t.Fatalf("%s: %s %s, %v", path, response.Status, answer, err)
	}
	return string(answer)
}

// publish publishes a device event of u-1 and returns its message id.
func (p *program) publish(endpointID string) string {
	p.t.Helper()
	answer := p.post("maker's cloud", "/publish?key="+url.QueryEscape("u-1/"+endpointID), report(endpointID))
	return regexp.MustCompile(`"messageId":"(\w+)"`).FindStringSubmatch(answer)[1]
}

// refuseAlways makes Europe's gateway refuse the events of an endpoint, so
// that they have to be delivered again.
func (p *program) refuseAlways(endpointID string) {
	p.t.Helper()
	p.post("simulator", "/faults", `{"target":"gateway/EU","endpointId":"`+endpointID+`","code":"SERVICE_UNAVAILABLE_EXCEPTION","always":true}`)
}

// ready waits until the program can be talked to.
func (p *program) ready() {
	p.t.Helper()
	p.until("ends it. What happens:")
}

func TestTermFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	p := launch(t, "holding", nil)
	p.ready()
	id := p.publish("held")
	p.until("HELD")
	p.terminate()
	p.until(id+" of u-1/held, attempt 1: ", "accepted")
	p.until("Stopped with 1 event in flight: 1 acknowledged, 0 handed back to Pub/Sub.")
	p.ends(0)
}

func TestTermHandsBackWhatFails(t *testing.T) {
	t.Parallel()
	p := launch(t, "program", nil)
	p.ready()
	p.refuseAlways("lamp-9")
	id := p.publish("lamp-9")
	p.until(id+" of u-1/lamp-9, attempt 2: status 503", "again in 2s")
	p.terminate()
	p.until("Stopped with 1 event in flight: 0 acknowledged, 1 handed back to Pub/Sub (which ends with this process).")
	p.ends(0)
}
