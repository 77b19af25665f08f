package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// hanging is a Firestore that answers nothing, and tells when it was asked.
type hanging struct {
	firestorepb.UnimplementedFirestoreServer
	once  sync.Once
	asked chan struct{}
}

func (h *hanging) RunQuery(_ *firestorepb.RunQueryRequest, s firestorepb.Firestore_RunQueryServer) error {
	h.once.Do(func() { close(h.asked) })
	<-s.Context().Done()
	return status.FromContextError(s.Context().Err()).Err()
}

// serve returns its address.
func (h *hanging) serve(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	firestorepb.RegisterFirestoreServer(server, h)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// TestSignals ends the program while it waits for the store.
func TestSignals(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			s := newStack(t)
			h := &hanging{asked: make(chan struct{})}
			var out, errs bytes.Buffer
			cmd := exec.CommandContext(t.Context(), os.Args[0], "reseal", "-for-real", "-json", "-project", "p", "-keyset", s.keyset, "-after", someID)
			cmd.Env = append(os.Environ(), asProgram+"=1", "FIRESTORE_EMULATOR_HOST="+h.serve(t))
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended, stop := context.WithCancel(t.Context())
			go func() {
				select {
				case <-h.asked:
					_ = cmd.Process.Signal(signal)
				case <-ended.Done():
				}
			}()
			_ = cmd.Wait() // how it ended is in ProcessState
			stop()
			if cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(errs.String(), "interrupted; go on with -after "+someID) {
				t.Fatalf("%v after %v, and it said %q", cmd.ProcessState, signal, errs.String())
			}
			var got resealing
			decode(s, out.String(), &got)
			if !got.Interrupted || got.Complete || got.Customers != 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}
