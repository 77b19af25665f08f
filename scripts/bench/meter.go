package main

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
)

// meter counts what Firestore charges for: a read for each document that is
// looked up or found by a query, one for a query that finds none, and a write
// for each that is created, changed or deleted
// (https://cloud.google.com/firestore/pricing).
type meter struct{ queries, reads, writes atomic.Int64 }

func (m *meter) reset() {
	m.queries.Store(0)
	m.reads.Store(0)
	m.writes.Store(0)
}

// unary implements [grpc.UnaryClientInterceptor].
func (m *meter) unary(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, next grpc.UnaryInvoker, options ...grpc.CallOption) error {
	err := next(ctx, method, request, reply, conn, options...)
	if commit, ok := request.(*firestorepb.CommitRequest); ok && err == nil {
		m.writes.Add(int64(len(commit.GetWrites())))
	}
	return err
}

// stream implements [grpc.StreamClientInterceptor].
func (m *meter) stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, next grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := next(ctx, desc, conn, method, options...)
	return &metered{ClientStream: stream, meter: m}, err
}

// metered is one call that is answered by several messages.
type metered struct {
	grpc.ClientStream
	meter *meter
	query bool
	found int64
}

// RecvMsg implements [grpc.ClientStream].
func (s *metered) RecvMsg(message any) error {
	err := s.ClientStream.RecvMsg(message)
	if errors.Is(err, io.EOF) && s.query {
		s.meter.queries.Add(1)
		s.meter.reads.Add(max(s.found, 1))
	}
	if err != nil {
		return err
	}
	switch answer := message.(type) {
	case *firestorepb.RunQueryResponse:
		s.query = true
		if answer.GetDocument() != nil {
			s.found++
		}
	case *firestorepb.RunAggregationQueryResponse:
		s.query = true // a thousand that are counted cost one
	case *firestorepb.BatchGetDocumentsResponse:
		if answer.GetResult() != nil {
			s.meter.reads.Add(1)
		}
	}
	return nil
}
