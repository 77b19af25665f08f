package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// pushName is the command that this program starts itself with: a load
// generator in a process of its own.
const pushName = "push"

// job is what a load generator is asked to do.
type job struct {
	Host, Path string
	Customers  int
	First      int64 // message id of the first event
	Events     int
	InFlight   int           // at most
	Every      time.Duration // between two events; 0 is as soon as another is answered
	For        time.Duration // ends the job early, when it is not 0
	Want       string        // part of each answer's body
	Ready      []byte        // posted instead of events, to the gateway itself
	Token      string        // that goes with Ready
}

// load is what became of the events.
type load struct {
	Answered    int
	Statuses    map[int]int // 0 for no answer
	Wrong       int         // no 200, or without what was wanted
	Complaint   string      // the first of them
	Took        time.Duration
	Half, Worst time.Duration // latency: median, and 99th percentile
	Longest     time.Duration
	Seconds     []int // good answers in each second
}

func pushCommand(ctx context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) error {
	if err := parse(flags, args, func() error { return nil }); err != nil {
		return err
	}
	var j job
	if err := json.NewDecoder(os.Stdin).Decode(&j); err != nil {
		return fmt.Errorf("the job: %w", err)
	}
	done, err := j.do(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(done)
}

// requests prepares one for each customer.
func (j job) requests() ([]envelope, error) {
	if j.Ready != nil {
		header := "Authorization: Bearer " + j.Token + "\r\n"
		return []envelope{{rawRequest(j.Host, j.Path, header, j.Ready), -1}}, nil
	}
	list := make([]envelope, j.Customers)
	for i := range list {
		var err error
		if list[i], err = pushRequest(j.Host, j.Path, i, time.Now()); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// event is one to push, and since when.
type event struct {
	number int
	given  time.Time
}

// do pushes the events.
func (j job) do(ctx context.Context) (load, error) {
	requests, err := j.requests()
	if err != nil {
		return load{}, err
	}
	if j.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, j.For)
		defer cancel()
	}
	began := time.Now()
	seen := &record{began: began, statuses: make(map[int]int)}
	next := j.closedLoop(ctx)
	if j.Every > 0 {
		next = j.openLoop(ctx)
	}
	var workers sync.WaitGroup
	for range j.InFlight {
		workers.Go(func() {
			p := pusher{job: j, requests: requests, seen: seen}
			defer p.hangUp()
			p.work(next)
		})
	}
	workers.Wait()
	return seen.load(time.Since(began)), nil
}

// closedLoop gives out the next event whenever it is asked for one.
func (j job) closedLoop(ctx context.Context) func() (event, bool) {
	var given atomic.Int64
	return func() (event, bool) {
		n := int(given.Add(1)) - 1
		return event{n, time.Now()}, n < j.Events && ctx.Err() == nil
	}
}

// openLoop gives each event out at its time, however long the others take: one
// that finds nobody free waits, which counts. What the generator itself is late
// by does not.
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
	requests []envelope
	seen     *record
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

func (p *pusher) work(next func() (event, bool)) {
	for e, more := next(); more; e, more = next() {
		status, err := p.push(e.number)
		if err != nil {
			p.hangUp()
		}
		p.seen.add(time.Since(e.given), status, p.job.complaint(status, p.answer.Bytes(), err))
	}
}

// complaint says what is wrong with an answer, nothing if it is as wanted.
func (j job) complaint(status int, answer []byte, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case status/100 != 2 || !bytes.Contains(answer, []byte(j.Want)):
		return fmt.Sprintf("answered %d %.500s", status, answer)
	}
	return ""
}

// push makes one request.
func (p *pusher) push(n int) (status int, err error) {
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

// record is what the workers have seen.
type record struct {
	began time.Time

	mu        sync.Mutex
	latencies []time.Duration
	statuses  map[int]int
	wrong     int
	complaint string
	seconds   []int
}

func (r *record) add(took time.Duration, status int, complaint string) {
	second := int(time.Since(r.began) / time.Second)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latencies = append(r.latencies, took)
	r.statuses[status]++
	if complaint != "" {
		if r.wrong++; r.complaint == "" {
			r.complaint = complaint
		}
		return
	}
	for len(r.seconds) <= second {
		r.seconds = append(r.seconds, 0)
	}
	r.seconds[second]++
}

func (r *record) load(took time.Duration) load {
	slices.Sort(r.latencies)
	return load{
		Answered: len(r.latencies), Statuses: r.statuses, Wrong: r.wrong, Complaint: r.complaint, Took: took,
		Half: percentile(r.latencies, 50), Worst: percentile(r.latencies, 99), Longest: percentile(r.latencies, 100), Seconds: r.seconds,
	}
}

// percentile of a sorted list: what so many in a hundred are not above.
func percentile(sorted []time.Duration, hundredths int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max((len(sorted)*hundredths+99)/100, 1)-1]
}
