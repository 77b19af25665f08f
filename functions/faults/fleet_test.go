package faults_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/binary"
	"github.com/gatepostdev/gatepost/shared/push"
)

// fleet is some copies of SendEvent, and what is in front of them: it hands
// each push to one that lives, kills as planned, and sees what Pub/Sub is
// told.
type fleet struct {
	t      *testing.T
	world  *world
	client *http.Client
	plan   map[string]planned // by event id
	acked  chan<- struct{}    // gets one element for each event that is acknowledged

	mu        sync.Mutex
	processes []*binary.Process // nil while one is dead
	turn      int
	kills     int
	fates     map[string]*fate // by event id

	pending sync.WaitGroup // kills and restarts
}

// fate is what became of one event.
type fate struct {
	attempts    int
	interrupted int      // attempts that ended without an answer that Pub/Sub heard
	acks        []string // outcomes that were acknowledged
}

func newFleet(t *testing.T, w *world, copies int, events []planned, acked chan<- struct{}) *fleet {
	f := &fleet{
		t: t, world: w, plan: make(map[string]planned), acked: acked, fates: make(map[string]*fate),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: patience},
	}
	for _, p := range events {
		f.plan[p.id()], f.fates[p.id()] = p, new(fate)
	}
	for range copies {
		p, err := w.launch(within(t, patience), "SendEvent")
		if err != nil {
			t.Fatal(err)
		}
		f.processes = append(f.processes, p)
	}
	t.Cleanup(f.close)
	return f
}

// close ends the fleet. What its processes wrote was looked at.
func (f *fleet) close() {
	f.pending.Wait()
	for slot := range f.processes {
		f.kill(slot, f.processes[slot], false)
	}
	f.client.CloseIdleConnections()
}

// ServeHTTP takes a push.
func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	m, err := push.Decode(body)
	if err != nil {
		f.t.Errorf("Pub/Sub pushed %q: %v", body, err)
		return
	}
	id := m.Attributes["eventId"]
	todo := f.plan[id]
	slot, process, attempt := f.next(id)
	if attempt > 1 {
		todo.deed = spare
	}
	if process == nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	if todo.deed == killAtWork {
		f.pending.Add(1)
		time.AfterFunc(todo.after, func() {
			defer f.pending.Done()
			f.kill(slot, process, true)
		})
	}
	status, answer, err := f.forward(r, process, body)
	if err == nil && todo.deed == killAtReply {
		f.kill(slot, process, true)
		err = http.ErrAbortHandler
	}
	if err != nil {
		f.note(id, func(x *fate) { x.interrupted++ })
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	if status == http.StatusOK {
		f.note(id, func(x *fate) {
			if x.acks = append(x.acks, outcomeOf(answer)); len(x.acks) == 1 {
				f.acked <- struct{}{}
			}
		})
	}
	w.WriteHeader(status)
}

// outcome returns what became of the events, how many processes were killed,
// and waits for those that start again.
func (f *fleet) outcome() (fates map[string]fate, kills int) {
	f.pending.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	fates = make(map[string]fate, len(f.fates))
	for id, was := range f.fates {
		fates[id] = *was
	}
	return fates, f.kills
}

// next returns the process whose turn it is, nil if none lives, and how often
// the event was delivered.
func (f *fleet) next(id string) (slot int, process *binary.Process, attempt int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range f.processes {
		f.turn = (f.turn + 1) % len(f.processes)
		if f.processes[f.turn] != nil {
			f.fates[id].attempts++
			return f.turn, f.processes[f.turn], f.fates[id].attempts
		}
	}
	return 0, nil, 0
}

func (f *fleet) note(id string, edit func(*fate)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	edit(f.fates[id])
}

func (f *fleet) forward(r *http.Request, p *binary.Process, body []byte) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, p.URL(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	response, err := f.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// outcomeOf is the outcome in an answer for a customer with one grant, or
// whatever else the answer says.
func outcomeOf(answer []byte) string {
	var body outcomes
	if err := json.Unmarshal(answer, &body); err != nil || len(body.Outcomes) != 1 {
		return fmt.Sprintf("%s (%v)", answer, err)
	}
	return body.Outcomes[0].Outcome
}

// kill kills a process unless somebody has done so, and starts another in its
// place.
func (f *fleet) kill(slot int, process *binary.Process, restart bool) {
	f.mu.Lock()
	if process == nil || f.processes[slot] != process {
		f.mu.Unlock()
		return
	}
	f.processes[slot] = nil
	if restart {
		f.kills++
		f.pending.Add(1)
	}
	f.mu.Unlock()
	process.Kill()
	wroteNoSecret(f.t, process)
	if !restart {
		return
	}
	go func() {
		defer f.pending.Done()
		started, err := f.world.launch(f.t.Context(), "SendEvent")
		if err != nil {
			f.t.Errorf("starting a process again: %v", err)
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.processes[slot] = started
	}()
}
