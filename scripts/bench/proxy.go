package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// proxy stands between a program and the Firestore emulator, and counts in its
// meter what the program asks for.
type proxy struct {
	meter
	address  string
	emulator *grpc.ClientConn
	server   *grpc.Server
}

// startProxy listens in front of the emulator at host.
func startProxy(host string) (*proxy, error) {
	emulator, err := grpc.NewClient("passthrough:///"+host, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(asIs{})))
	if err != nil {
		return nil, fmt.Errorf("connect to the emulator: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, emulator.Close())
	}
	p := &proxy{address: listener.Addr().String(), emulator: emulator}
	p.server = grpc.NewServer(grpc.ForceServerCodecV2(asIs{}), grpc.UnknownServiceHandler(p.forward))
	go func() { _ = p.server.Serve(listener) }() // until it is stopped
	return p, nil
}

func (p *proxy) stop() error {
	p.server.Stop()
	return p.emulator.Close()
}

// forward hands the messages of one call to and fro. Every call is a stream to
// who does not know it.
func (p *proxy) forward(_ any, from grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(from)
	headers, _ := metadata.FromIncomingContext(from.Context())
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(from.Context(), headers))
	defer cancel()
	to, err := p.emulator.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return err
	}
	go func() {
		if err := p.requests(method, from, to); err != nil {
			cancel()
		}
	}()
	return p.answers(method, from, to)
}

// requests hands them on until there are no more.
func (p *proxy) requests(method string, from grpc.ServerStream, to grpc.ClientStream) error {
	for {
		var message []byte
		if err := from.RecvMsg(&message); errors.Is(err, io.EOF) {
			return to.CloseSend()
		} else if err != nil {
			return err
		}
		if err := p.asked(method, message); err != nil {
			return err
		}
		if err := to.SendMsg(message); err != nil {
			return err
		}
	}
}

// answers hands them back until there are no more.
func (p *proxy) answers(method string, from grpc.ServerStream, to grpc.ClientStream) error {
	for {
		var message []byte
		if err := to.RecvMsg(&message); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := p.told(method, message); err != nil {
			return err
		}
		if err := from.SendMsg(message); err != nil {
			return err
		}
	}
}

// asked counts writes. Neither SendEvent nor AcceptGrant has any business with
// what the proxy does not count.
func (p *proxy) asked(method string, message []byte) error {
	switch name := method[strings.LastIndex(method, "/")+1:]; name {
	case "Commit":
		var commit firestorepb.CommitRequest
		if err := proto.Unmarshal(message, &commit); err != nil {
			return err
		}
		p.writes.Add(int64(len(commit.GetWrites())))
	case "BatchGetDocuments":
	default:
		return status.Errorf(codes.Unimplemented, "the bench does not count %s", name)
	}
	return nil
}

// told counts reads.
func (p *proxy) told(method string, message []byte) error {
	if !strings.HasSuffix(method, "/BatchGetDocuments") {
		return nil
	}
	var answer firestorepb.BatchGetDocumentsResponse
	if err := proto.Unmarshal(message, &answer); err != nil {
		return err
	}
	if answer.GetResult() != nil {
		p.reads.Add(1)
	}
	return nil
}

// asIs is a codec that leaves messages as they are on the wire.
type asIs struct{}

var _ encoding.CodecV2 = asIs{}

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
