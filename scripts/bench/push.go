package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatepostdev/gatepost/shared/push"
)

// userID returns the maker's id of customer i, as long as a UUID.
func userID(i int) string { return fmt.Sprintf("customer-%027d", i) }

// change is the common part of the maker's event and the gateway's: a lamp was switched,
// with the rest of its state.
func change(at time.Time) string {
	return strings.ReplaceAll(`"payload":{"change":{"cause":{"type":"PHYSICAL_INTERACTION"},"properties":[`+
		`{"namespace":"Alexa.PowerController","name":"powerState","value":"ON","timeOfSample":"NOW","uncertaintyInMilliseconds":0}]}}},`+
		`"context":{"properties":[`+
		`{"namespace":"Alexa.BrightnessController","name":"brightness","value":75,"timeOfSample":"NOW","uncertaintyInMilliseconds":0},`+
		`{"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"},`+
		`"timeOfSample":"NOW","uncertaintyInMilliseconds":200}]}}`,
		"NOW", at.UTC().Format("2006-01-02T15:04:05.000Z"))
}

// deviceEvent returns the event of customer i that a maker publishes.
func deviceEvent(i int, at time.Time) []byte {
	return fmt.Appendf(nil, `{"userId":%q,"event":{"header":{"namespace":"Alexa","name":"ChangeReport"},`+
		`"endpoint":{"endpointId":"lamp-1"},%s`, userID(i), change(at))
}

// readyEvent returns the gateway's body for such an event.
func readyEvent(token string, at time.Time) []byte {
	const id = "00000000-0000-4000-8000-000000000000"
	return fmt.Appendf(nil, `{"event":{"header":{"namespace":"Alexa","name":"ChangeReport","messageId":%q,"payloadVersion":"3"},`+
		`"endpoint":{"scope":{"type":"BearerToken","token":%q},"endpointId":"lamp-1"},%s`, id, token, change(at))
}

// pushBody returns the body of Pub/Sub's push for customer i.
func pushBody(i int, id string, now time.Time) ([]byte, error) {
	return push.Encode(push.Message{
		ID: id, Data: deviceEvent(i, now), PublishTime: now.UTC(), OrderingKey: userID(i) + "/lamp-1",
		Subscription: "projects/bench/subscriptions/device-events", Attempt: 1,
	})
}

// noID is the placeholder of a message id, with as many digits as Pub/Sub's. Each push
// needs its own id: SendEvent does not send a duplicate.
const noID = "0000000000000000"

// request is a push as on the wire, except for its message id.
type request struct {
	text []byte
	id   int // where it is
}

func newRequest(host, path string, i int, now time.Time) (request, error) {
	body, err := pushBody(i, noID, now)
	text := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: CloudPubSub-Google\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, host, len(body), body)
	return request{text, bytes.Index(text, []byte(noID))}, err
}

// appendTo appends the push of message n.
func (r request) appendTo(buffer []byte, n int64) []byte {
	start := len(buffer)
	buffer = append(buffer, r.text...)
	for at := start + r.id + len(noID) - 1; n > 0; at-- {
		buffer[at] = byte('0' + n%10)
		n /= 10
	}
	return buffer
}

// job is a job of the load generator.
type job struct {
	Host, Path string
	Customers  int
	First      int64 // message id of the first event
	Events     int
	InFlight   int           // at most
	Every      time.Duration // between two events; 0 is as soon as another is answered
	For        time.Duration // ends the job early, when it is not 0
	Want       string        // part of each answer's body

	// Strict has the simulator check each event completely, which takes longer than to
	// send it, so it is only for the warm-up. Otherwise the gateway compares the tokens
	// of header and body.
	Strict bool
	Delay  time.Duration // of each of the gateway's answers
}

// load is the result of a job.
type load struct {
	Answered    int
	Statuses    map[int]int // 0 for no answer
	Wrong       int         // not 200, or with another body than wanted
	Complaint   string      // the first of them
	Took        time.Duration
	Half, Worst time.Duration // latency: median, and 99th percentile
	Longest     time.Duration
	Seconds     []int // good answers in each second

	Taken, Refused int64 // at the gateway
}

// missed returns a text if the gateway did not accept each event once.
func (l load) missed(events int) string {
	if l.Taken == int64(events) && l.Refused == 0 {
		return ""
	}
	return fmt.Sprintf("the gateway accepted %d of %d events and refused %d", l.Taken, events, l.Refused)
}

// event is one to push.
type event struct {
	number int
	given  time.Time
}

// do pushes the events.
func (j job) do(ctx context.Context) (load, error) {
	requests := make([]request, j.Customers)
	for i := range requests {
		var err error
		if requests[i], err = newRequest(j.Host, j.Path, i, time.Now()); err != nil {
			return load{}, err
		}
	}
	if j.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, j.For)
		defer cancel()
	}
	seen := &record{began: time.Now(), load: load{Statuses: make(map[int]int)}}
	next := j.closedLoop(ctx)
	if j.Every > 0 {
		next = j.openLoop(ctx)
	}
	var workers sync.WaitGroup
	for range j.InFlight {
		workers.Go(func() {
			p := pusher{job: j, requests: requests}
			defer p.hangUp()
			for e, more := next(); more; e, more = next() {
				status, err := p.push(e.number)
				seen.add(time.Since(e.given), status, j.complaint(status, p.answer.Bytes(), err))
			}
		})
	}
	workers.Wait()
	return seen.sum(), nil
}

// closedLoop hands out the next event whenever a worker is free.
func (j job) closedLoop(ctx context.Context) func() (event, bool) {
	var given atomic.Int64
	return func() (event, bool) {
		n := int(given.Add(1)) - 1
		return event{n, time.Now()}, n < j.Events && ctx.Err() == nil
	}
}

// openLoop hands out each event at its time, independently of the others. If no worker is
// free the event waits, and its wait counts. The generator's own delay does not count.
func (j job) openLoop(ctx context.Context) func() (event, bool) {
	queue := make(chan event, j.Events)
	go func() {
		defer close(queue)
		due := time.Now()
		for n := 0; n < j.Events && ctx.Err() == nil; n++ {
			due = due.Add(j.Every)
			time.Sleep(time.Until(due))
			queue <- event{n, time.Now()}
		}
	}()
	return func() (event, bool) {
		e, more := <-queue
		return e, more
	}
}

// pusher pushes events over one connection, one after the other.
type pusher struct {
	job      job
	requests []request
	conn     net.Conn
	reader   *bufio.Reader
	buffer   []byte
	answer   bytes.Buffer
}

func (p *pusher) hangUp() {
	if p.conn != nil {
		_ = p.conn.Close()
		p.conn = nil
	}
}

// push makes one request, over a new connection after an error.
func (p *pusher) push(n int) (status int, err error) {
	defer func() {
		if err != nil {
			p.hangUp()
		}
	}()
	p.answer.Reset()
	if p.conn == nil {
		if p.conn, err = net.Dial("tcp", p.job.Host); err != nil {
			return 0, err
		}
		p.reader = bufio.NewReader(p.conn)
	}
	p.buffer = p.requests[n%len(p.requests)].appendTo(p.buffer[:0], p.job.First+int64(n))
	if _, err := p.conn.Write(p.buffer); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(p.reader, nil)
	if err != nil {
		return 0, err
	}
	if _, err = p.answer.ReadFrom(response.Body); err == nil && response.Close {
		err = errors.New("the connection was closed")
	}
	return response.StatusCode, err
}

// complaint returns the fault of an answer, or "".
func (j job) complaint(status int, answer []byte, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case status != http.StatusOK || !bytes.Contains(answer, []byte(j.Want)):
		return fmt.Sprintf("answered %d %.500s", status, answer)
	}
	return ""
}

// record is the workers' record of the answers.
type record struct {
	began time.Time

	mu        sync.Mutex
	latencies []time.Duration
	load      load
}

func (r *record) add(took time.Duration, status int, complaint string) {
	second := int(time.Since(r.began) / time.Second)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latencies = append(r.latencies, took)
	r.load.Statuses[status]++
	if complaint != "" {
		if r.load.Wrong++; r.load.Complaint == "" {
			r.load.Complaint = complaint
		}
		return
	}
	for len(r.load.Seconds) <= second {
		r.load.Seconds = append(r.load.Seconds, 0)
	}
	r.load.Seconds[second]++
}

func (r *record) sum() load {
	slices.Sort(r.latencies)
	l := r.load
	l.Answered, l.Took = len(r.latencies), time.Since(r.began)
	l.Half, l.Worst, l.Longest = percentile(r.latencies, 50), percentile(r.latencies, 99), percentile(r.latencies, 100)
	return l
}

// percentile returns a percentile of a sorted list.
func percentile(sorted []time.Duration, hundredths int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max((len(sorted)*hundredths+99)/100, 1)-1]
}
