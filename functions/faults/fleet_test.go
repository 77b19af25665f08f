package faults_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
)

// fleet is some copies of SendEvent, and what is in front of them: it hands
// each push to one that lives, kills as planned, and sees what Pub/Sub is
// told.
type fleet struct {
	t      *testing.T
	world  *world
	client *http.Client
	acked  chan<- struct{} // gets one element for each event that is acknowledged

	mu        sync.Mutex
	processes []*binary.Process // nil while one is dead
	turn      int
	kills     int
	plan      map[string]planned // by event id
	fates     map[string]*fate   // by event id

	pending sync.WaitGroup // kills and restarts
}

// fate is what became of one event.
type fate struct {
	attempts    int
	interrupted int                 // attempts that ended without an answer that Pub/Sub heard
	partly      int                 // attempts handed back that a grant accepted: what the other missed could not be noted
	acks        []map[string]string // outcomes that were acknowledged, by grant id
}

func newFleet(t *testing.T, w *world, copies int, acked chan<- struct{}) *fleet {
	f := &fleet{
		t: t, world: w, plan: make(map[string]planned), acked: acked, fates: make(map[string]*fate),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: testkit.Patience},
	}
	for range copies {
		p, err := w.launch(testkit.Context(t), "SendEvent")
		if err != nil {
			t.Fatal(err)
		}
		f.processes = append(f.processes, p)
	}
	t.Cleanup(f.close)
	return f
}

// add takes an event that is about to be published.
func (f *fleet) add(p planned) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan[p.id()], f.fates[p.id()] = p, new(fate)
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
	slot, process, todo := f.next(id)
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
	outcomes := outcomesOf(answer)
	if status != http.StatusOK && !todo.press && slices.Contains(slices.Collect(maps.Values(outcomes)), "accepted") {
		f.note(id, func(x *fate) { x.partly++ })
	}
	if status == http.StatusOK {
		f.note(id, func(x *fate) {
			if x.acks = append(x.acks, outcomes); len(x.acks) == 1 {
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

// next returns the process whose turn it is, nil if none lives, and the event,
// with its deed only when it is delivered for the first time.
func (f *fleet) next(id string) (slot int, process *binary.Process, todo planned) {
	f.mu.Lock()
	defer f.mu.Unlock()
	todo = f.plan[id]
	for range f.processes {
		f.turn = (f.turn + 1) % len(f.processes)
		if f.processes[f.turn] != nil {
			if f.fates[id].attempts++; f.fates[id].attempts > 1 {
				todo.deed = spare
			}
			return f.turn, f.processes[f.turn], todo
		}
	}
	return 0, nil, todo
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

// outcomesOf are the outcomes in an answer, by grant id, or what else it says.
func outcomesOf(answer []byte) map[string]string {
	var body outcomes
	if err := json.Unmarshal(answer, &body); err != nil || len(body.Outcomes) == 0 {
		return map[string]string{"": fmt.Sprintf("%s (%v)", answer, err)}
	}
	by := make(map[string]string)
	for _, o := range body.Outcomes {
		by[o.GrantID] = o.Outcome
	}
	return by
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
