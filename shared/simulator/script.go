package simulator

import (
	"slices"
	"sync"
)

// script holds the faults that wait for their requests.
type script struct {
	mu       sync.Mutex
	queued   map[Target][]Fault
	standing map[Target][]Fault
}

func newScript() *script {
	return &script{queued: make(map[Target][]Fault), standing: make(map[Target][]Fault)}
}

// Script queues faults for a target. Each request takes the first queued fault
// that matches it, Times times; without one it is served as it should be. A
// fault or target that makes no sense panics, because a test that waits for it
// would prove nothing.
func (s *Simulator) Script(target Target, faults ...Fault) {
	for _, fault := range faults {
		fault.mustSuit(target)
	}
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	for _, fault := range faults {
		fault.Times = max(fault.Times, 1)
		s.script.queued[target] = append(s.script.queued[target], fault)
	}
}

func (f Fault) mustSuit(target Target) {
	if wrong := f.validate(target); wrong != nil {
		panic("simulator: fault: " + wrong.field + ": " + wrong.problem)
	}
}

// Always makes a fault stand until [Simulator.Clear], for every request to the
// target that matches it and takes no queued fault. Of several the newest
// counts. It panics as Script does.
func (s *Simulator) Always(target Target, fault Fault) {
	fault.mustSuit(target)
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	s.script.standing[target] = slices.Insert(s.script.standing[target], 0, fault)
}

// Clear takes back every fault that has not been used. Requests that are in
// one already stay in it.
func (s *Simulator) Clear() {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	clear(s.script.queued)
	clear(s.script.standing)
}

// take returns the fault for a request, and whether there is one.
func (s *script) take(seen Request) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	matches := func(f Fault) bool { return f.matches(seen) }
	queue := s.queued[seen.Target]
	if i := slices.IndexFunc(queue, matches); i >= 0 {
		fault := queue[i]
		queue[i].Times--
		if queue[i].Times == 0 {
			s.queued[seen.Target] = slices.Delete(queue, i, i+1)
		}
		return fault, true
	}
	if i := slices.IndexFunc(s.standing[seen.Target], matches); i >= 0 {
		return s.standing[seen.Target][i], true
	}
	return Fault{}, false
}
