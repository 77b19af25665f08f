package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// flakyStore stands between the processes and the Firestore emulator, which is
// kinder than Firestore: it fails calls, some of them after they took effect.
type flakyStore struct {
	address string
	failing atomic.Bool

	emulator *grpc.ClientConn
	failed   atomic.Int64
	mu       sync.Mutex
	draw     func(n int) int
}

// storeErrors are what Firestore answers when it is not well.
var storeErrors = []codes.Code{
	codes.Unavailable, codes.Aborted, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Internal, codes.Unknown,
}

func startFlakyStore(t *testing.T, host string, draw func(n int) int) *flakyStore {
	t.Helper()
	emulator, err := grpc.NewClient("passthrough:///"+host, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(asIs{})))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &flakyStore{address: listener.Addr().String(), emulator: emulator, draw: draw}
	server := grpc.NewServer(grpc.ForceServerCodecV2(asIs{}), grpc.UnknownServiceHandler(s.forward))
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
		_ = emulator.Close()
	})
	return s
}

// fails draws whether a call fails, as one in forty does, and with what.
func (s *flakyStore) fails() error {
	if !s.failing.Load() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draw(40) > 0 {
		return nil
	}
	s.failed.Add(1)
	return status.Error(storeErrors[s.draw(len(storeErrors))], "made up")
}

// forward hands on one call, of one request, and its answers.
func (s *flakyStore) forward(_ any, from grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(from)
	headers, _ := metadata.FromIncomingContext(from.Context())
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(from.Context(), headers))
	defer cancel()
	if err := s.fails(); err != nil {
		return err
	}
	to, err := s.emulator.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
	if err != nil {
		return err
	}
	var request []byte
	if err := errors.Join(from.RecvMsg(&request), to.SendMsg(request), to.CloseSend()); err != nil {
		return err
	}
	for {
		var answer []byte
		if err := to.RecvMsg(&answer); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if strings.HasSuffix(method, "/Commit") {
			if err := s.fails(); err != nil {
				return err // the answer is lost
			}
		}
		if err := from.SendMsg(answer); err != nil {
			return err
		}
	}
}

// asIs is a codec that leaves messages as they are on the wire.
type asIs struct{}

// Name implements [encoding.CodecV2].
func (asIs) Name() string { return "proto" }

// Marshal implements [encoding.CodecV2].
func (asIs) Marshal(message any) (mem.BufferSlice, error) {
	data, ok := message.([]byte)
	if !ok {
		return nil, fmt.Errorf("a message is a %T", message)
	}
	return mem.BufferSlice{mem.SliceBuffer(data)}, nil
}

// Unmarshal implements [encoding.CodecV2].
func (asIs) Unmarshal(data mem.BufferSlice, message any) error {
	into, ok := message.(*[]byte)
	if !ok {
		return fmt.Errorf("a message is a %T", message)
	}
	*into = data.Materialize()
	return nil
}
