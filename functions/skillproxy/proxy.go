package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/federation"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/transport"
)

const (
	// answerTime is how long the proxy takes at most: within the seven seconds
	// promised, with room for a slow processor. AcceptGrant takes at most five, which
	// leaves time to fetch an ID token first.
	answerTime = 6500 * time.Millisecond
	// deadlineSpare is reserved before Lambda's own deadline for the answer. The
	// smallest Lambda has a fourteenth of a processor.
	deadlineSpare = 500 * time.Millisecond
	// idleTime is how long an idle connection is kept. Lambda freezes the process
	// between invocations, so the process does not notice a server that closes its
	// end. The next directive would be lost on the dead connection, and could not be
	// resent, because the server might have carried it out. Five seconds is the
	// shortest idle time of a server in common use (Node's).
	idleTime = 4 * time.Second
	// connections is the number of idle connections kept to each host. Only a Lambda
	// configured for concurrency in one process uses more than two.
	connections = 8
)

// proxy answers invocations. It implements lambda.Handler, so that the library does
// not decode and encode messages and answers.
type proxy struct {
	settings
	http   *http.Client
	tokens *federation.Tokens
	log    *slog.Logger
	now    func() time.Time
	draw   func() float64 // from 0 to 1, random: spreads resends
}

func newProxy(s settings, log *slog.Logger, now func() time.Time, draw func() float64) *proxy {
	client := newClient()
	source := federation.New(s.federation, client, now)
	return &proxy{settings: s, http: client, tokens: federation.NewTokens(source.IDToken, now), log: log, now: now, draw: draw}
}

func newClient() *http.Client {
	client := transport.NewClient(connections)
	t := client.Transport.(*http.Transport)
	t.IdleConnTimeout = idleTime
	// Since connections are made often, let TLS resume its sessions.
	t.TLSClientConfig = &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(0), MinVersion: tls.VersionTLS12}
	return client
}

// Invoke implements lambda.Handler. Its only error is errNotTaken, because the library
// prints errors and sends them to AWS.
func (p *proxy) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	started := p.now()
	ctx, line := logging.Begin(ctx, slog.String(logging.Function, "SkillProxy"), slog.String(logging.Region, string(p.region)))
	if invocation, ok := lambdacontext.FromContext(ctx); ok {
		logging.Add(ctx, slog.String("request_id", invocation.AwsRequestID))
	}
	working, cancel := context.WithDeadline(ctx, deadline(ctx, started))
	defer cancel()
	// A copy: the library reuses payload's memory for the next invocation, and the
	// HTTP client may still read a request's body after it has returned an error.
	a := p.answer(working, bytes.Clone(payload))
	line.Write(ctx, p.log, "SkillProxy", slog.Int64(logging.Duration, p.now().Sub(started).Milliseconds()))
	return a.body, a.err
}

// deadline returns when the work must end so that the answer is in time.
func deadline(ctx context.Context, started time.Time) time.Time {
	at := started.Add(answerTime)
	if lambdas, ok := ctx.Deadline(); ok && lambdas.Add(-deadlineSpare).Before(at) {
		return lambdas.Add(-deadlineSpare)
	}
	return at
}

// answer answers one message, and adds the outcome to the log line.
func (p *proxy) answer(ctx context.Context, payload []byte) (a answer) {
	message := alexa.ReadEnvelope(payload)
	kind := kindOf(message)
	defer func() {
		if cause := recover(); cause != nil {
			logging.Add(ctx, slog.String(logging.Error, fmt.Sprintf("panic: %v", cause)), slog.String(logging.Stack, string(debug.Stack())))
			a = failureAnswer(kind, message, panicked)
		}
		logging.Raise(ctx, a.level)
		logging.Add(ctx, slog.String(logging.Outcome, string(a.outcome)))
		if a.code != "" {
			logging.Add(ctx, slog.String(logging.Code, a.code))
		}
	}()
	logging.Add(ctx, slog.String(logging.Kind, logName(message)))
	if message.MessageID != "" {
		logging.Add(ctx, slog.String(logging.MessageID, loggable(message.MessageID)))
	}
	if reportsFault(message) {
		logging.Raise(ctx, slog.LevelWarn)
		logging.Add(ctx, slog.String(logging.EndpointID, loggable(message.EndpointID)),
			slog.String("fault", string(message.Payload[:min(len(message.Payload), maxFault)])))
	}
	to := p.target(kind)
	if to == nil {
		return answerWithoutTarget(kind, message)
	}
	reply := p.forward(ctx, kind, to, payload)
	if reply.status != 0 { // the target's status; a Lambda's answer has none
		logging.Add(ctx, slog.Int(logging.Status, reply.status))
	}
	if reply.err != nil {
		logging.Add(ctx, slog.String(logging.Error, reply.err.Error()))
	}
	return judge(kind, message, reply)
}

func (p *proxy) target(k kind) *target {
	switch k {
	case acceptGrant:
		return p.acceptGrant
	case skillEvent:
		return p.skillEvent
	default:
		return p.directive
	}
}
