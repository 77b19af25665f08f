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

// fleet is some copies of SendEvent, and what is in front of them: it hands
// each push to one that lives, kills as planned, and sees what Pub/Sub is
// told.
type fleet struct {
	t     *testing.T
	w     *suite
	acked chan<- struct{} // gets one element for each event that is acknowledged

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
	settled     map[string]bool     // grants that were done with, without the gateway, in an attempt that was handed back
}

// handedBack notes an attempt that is to come again.
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

// add takes an event that is about to be published.
func (f *fleet) add(p planned) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan[p.id()], f.fates[p.id()] = p, &fate{settled: make(map[string]bool)}
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
			f.kill(slot, process)
		})
	}
	answer, err := world.Post(r.Context(), process.URL(), nil, string(body))
	if err == nil && todo.deed == killAtReply {
		f.kill(slot, process)
		err = http.ErrAbortHandler
	}
	if err != nil {
		f.note(id, func(x *fate) { x.interrupted++ })
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	outcomes, status := outcomesOf(answer.Body), answer.Status
	// Pub/Sub has an event of one key with one process at a time: the one that
	// claimed this is dead, or could not note what became of it.
	if strings.Contains(answer.Body, `"CLAIMED"`) {
		if err := f.w.endClaim(r.Context(), todo.customer, id); err != nil {
			f.t.Errorf("%s was claimed: %v", id, err)
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

// outcomesOf are the outcomes in an answer, by grant id, or what else it says.
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

// kill kills a process unless that was done, and starts another in its place.
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
			f.t.Errorf("starting a process again: %v", err)
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.processes[slot] = started
	})
}

// flakyStore stands between the processes and the Firestore emulator, which is
// kinder than Firestore: it fails calls, some of them after they took effect.
type flakyStore struct {
	address  string
	emulator *grpc.ClientConn

	mu   sync.Mutex
	deal func() int // nil: no call fails
	next int        // of storeErrors
	met  map[string]int
}

// storeErrors are what Firestore answers when it is not well.
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

// spoil has one call in forty fail from now on.
func (s *flakyStore) spoil(draw *rand.Rand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deal = rounds(draw, 40)
}

// calm ends that, and returns how often each failure was met.
func (s *flakyStore) calm() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deal = nil
	return s.met
}

// fails draws whether a call fails, and with what.
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

// forward hands on one call, of one request, and its answers. An empty message
// keeps the fields that it does not know.
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
