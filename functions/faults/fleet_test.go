package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// fleet is some copies of SendEvent behind a load balancer, which hands each push
// to a live process, kills as planned, and records the answers to Pub/Sub.
type fleet struct {
	t     *testing.T
	w     *suite
	acked chan<- struct{} // receives once for each acknowledged event

	mu        sync.Mutex
	processes []*binary.Process // nil between a kill and the restart
	turn      int
	kills     int
	plan      map[string]planned // by event id
	fates     map[string]*fate   // by event id

	pending sync.WaitGroup // kills and restarts
}

// fate records the attempts of one event.
type fate struct {
	attempts    int
	interrupted int                 // attempts without an answer to Pub/Sub
	partly      int                 // attempts handed back after one grant accepted: the other could not be marked behind
	acks        []map[string]string // acknowledged outcomes, by grant id
	settled     map[string]bool     // grants settled without the gateway in an attempt that was handed back
}

// handedBack records an attempt that will be redelivered.
func (x *fate) handedBack(p planned, outcomes map[string]string) {
	if !p.press && slices.Contains(slices.Collect(maps.Values(outcomes)), "accepted") {
		x.partly++
	}
	for grantID, outcome := range outcomes {
		if slices.Contains([]string{"suspended", "revoked", "unconfirmed"}, outcome) {
			x.settled[grantID] = true
		}
	}
}

func newFleet(t *testing.T, w *suite, copies int, acked chan<- struct{}) *fleet {
	f := &fleet{
		t: t, w: w, plan: make(map[string]planned), acked: acked, fates: make(map[string]*fate),
	}
	for range copies {
		p, err := w.LaunchIn(testkit.Context(t), "SendEvent")
		if err != nil {
			t.Fatal(err)
		}
		f.processes = append(f.processes, p)
	}
	t.Cleanup(f.pending.Wait)
	return f
}

// add registers an event before it is published.
func (f *fleet) add(p planned) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan[p.id()], f.fates[p.id()] = p, &fate{settled: make(map[string]bool)}
}

// ServeHTTP handles a push.
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
	if todo.killPoint == killAtWork {
		f.pending.Add(1)
		time.AfterFunc(todo.after, func() {
			defer f.pending.Done()
			f.kill(slot, process)
		})
	}
	answer, err := world.Post(r.Context(), process.URL(), nil, string(body))
	if err == nil && todo.killPoint == killAtReply {
		f.kill(slot, process)
		err = http.ErrAbortHandler
	}
	if err != nil {
		f.note(id, func(x *fate) { x.interrupted++ })
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	outcomes, status := outcomesOf(answer.Body), answer.Status
	// Pub/Sub delivers events of one key one at a time, so the process with the
	// claim is dead, or could not record the outcome.
	if strings.Contains(answer.Body, `"CLAIMED"`) {
		if err := f.w.endClaim(r.Context(), todo.customer, id); err != nil {
			f.t.Errorf("claim of %s: %v", id, err)
		}
	}
	if status != http.StatusOK {
		f.note(id, func(x *fate) { x.handedBack(todo, outcomes) })
	} else {
		f.note(id, func(x *fate) {
			if x.acks = append(x.acks, outcomes); len(x.acks) == 1 {
				f.acked <- struct{}{}
			}
		})
	}
	w.WriteHeader(status)
}

// outcome waits for the restarts, and returns the fates of the events and how many
// processes were killed.
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

// next returns the next live process, nil if there is none, and the event, with its
// kill point at the first delivery only.
func (f *fleet) next(id string) (slot int, process *binary.Process, todo planned) {
	f.mu.Lock()
	defer f.mu.Unlock()
	todo = f.plan[id]
	for range f.processes {
		f.turn = (f.turn + 1) % len(f.processes)
		if f.processes[f.turn] != nil {
			if f.fates[id].attempts++; f.fates[id].attempts > 1 {
				todo.killPoint = none
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

// outcomesOf returns the outcomes in an answer by grant id, or the whole answer.
func outcomesOf(answer string) map[string]string {
	outcomes, err := world.Outcomes(answer)
	if err != nil || len(outcomes) == 0 {
		return map[string]string{"": fmt.Sprintf("%s (%v)", answer, err)}
	}
	by := make(map[string]string)
	for _, o := range outcomes {
		by[o.GrantID] = o.Outcome
	}
	return by
}

// kill kills a process unless it was killed before, and restarts it.
func (f *fleet) kill(slot int, process *binary.Process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.processes[slot] != process {
		return
	}
	f.processes[slot] = nil
	f.kills++
	process.Kill()
	f.pending.Go(func() {
		started, err := f.w.LaunchIn(f.t.Context(), "SendEvent")
		if err != nil {
			f.t.Errorf("restart: %v", err)
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.processes[slot] = started
	})
}

// flakyStore is a proxy of the Firestore emulator that fails calls, some of them
// after they took effect.
type flakyStore struct {
	address  string
	emulator *grpc.ClientConn

	mu   sync.Mutex
	deal func() int // nil: no call fails
	next int        // index in storeErrors
	met  map[string]int
}

// storeErrors are Firestore's answers in an outage.
var storeErrors = []codes.Code{
	codes.Unavailable, codes.Aborted, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Internal, codes.Unknown,
}

func startFlakyStore(t *testing.T, host string) *flakyStore {
	t.Helper()
	emulator, err := grpc.NewClient("passthrough:///"+host, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &flakyStore{address: listener.Addr().String(), emulator: emulator, met: make(map[string]int)}
	server := grpc.NewServer(grpc.UnknownServiceHandler(s.forward))
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
		_ = emulator.Close()
	})
	return s
}

// spoil makes one call in forty fail.
func (s *flakyStore) spoil(draw *rand.Rand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deal = rounds(draw, 40)
}

// calm ends the failures, and returns how often each occurred.
func (s *flakyStore) calm() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deal = nil
	return s.met
}

// fails returns an error for a call that is to fail.
func (s *flakyStore) fails(lost bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deal == nil || s.deal() > 0 {
		return nil
	}
	code := storeErrors[s.next%len(storeErrors)]
	s.next++
	s.met["store "+code.String()]++
	if lost {
		s.met["store answer lost"]++
	}
	return status.Error(code, "made up")
}

// forward proxies one call with one request. An empty message keeps unknown fields.
func (s *flakyStore) forward(_ any, from grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(from)
	headers, _ := metadata.FromIncomingContext(from.Context())
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(from.Context(), headers))
	defer cancel()
	if err := s.fails(false); err != nil {
		return err
	}
	to, err := s.emulator.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
	if err != nil {
		return err
	}
	var message emptypb.Empty
	if err := errors.Join(from.RecvMsg(&message), to.SendMsg(&message), to.CloseSend()); err != nil {
		return err
	}
	for {
		if err := to.RecvMsg(&message); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if strings.HasSuffix(method, "/Commit") {
			if err := s.fails(true); err != nil {
				return err
			}
		}
		if err := from.SendMsg(&message); err != nil {
			return err
		}
	}
}
