package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"github.com/gatepostdev/gatepost/shared/federation"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/transport"
	"github.com/gatepostdev/gatepost/shared/wait"
)

// regionHeader names the Alexa region to the target.
const regionHeader = "X-Alexa-Region"

// maxAnswer is the size of the largest answer of a Lambda:
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
const maxAnswer = 6 << 20

const (
	// resendLeft is the least time that must be left to send AcceptGrant again.
	// AcceptGrant may take five seconds and commonly takes one. By then the first ID
	// token on the smallest Lambda and a quick refusal have used up the rest.
	resendLeft = 4500 * time.Millisecond
	// The pause before a resend is jittered, so that requests which an unhealthy
	// function refused together do not come back together.
	resendPause  = 300 * time.Millisecond
	resendSpread = 200 * time.Millisecond
)

var (
	errNoIDToken = errors.New("no ID token")
	errTooLarge  = errors.New("the answer is larger than a Lambda's may be")
)

// reply is a target's reply.
type reply struct {
	status int // 0 if there is no reply
	body   []byte
	err    error // why there is no body; fit for a log
}

// forward sends the payload to a target. It returns when nothing is in flight, because
// Lambda freezes the process after the answer.
//
// Only AcceptGrant is retried after a transient failure, even if it may have seen the
// directive: Alexa sends a code once, and AcceptGrant recognizes a code that it has
// exchanged. Another directive could be carried out twice.
func (p *proxy) forward(ctx context.Context, k kind, to *target, payload []byte) reply {
	first := p.sendAuthenticated(ctx, to, payload)
	if k != acceptGrant || !first.transient() || !p.waitToResend(ctx) {
		return first
	}
	logging.Add(ctx, slog.String("resent_after", first.String()))
	return p.sendAuthenticated(ctx, to, payload)
}

// transient reports whether a retry may succeed soon: the target was unavailable, or
// the connection failed before the deadline and without a complete answer.
func (r reply) transient() bool {
	switch r.status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable:
		return true
	}
	for _, no := range []error{errNoIDToken, errTooLarge, context.DeadlineExceeded, context.Canceled} {
		if errors.Is(r.err, no) {
			return false
		}
	}
	return r.err != nil
}

// String returns the status or the error, for the log.
func (r reply) String() string {
	if r.err != nil {
		return r.err.Error()
	}
	return fmt.Sprintf("status %d", r.status)
}

// waitToResend waits before AcceptGrant is sent again. It returns false at once if
// there is no time left for that.
func (p *proxy) waitToResend(ctx context.Context) bool {
	return wait.HasTime(ctx, resendLeft) && wait.For(ctx, resendPause+time.Duration(p.draw()*float64(resendSpread))) == nil
}

// sendAuthenticated sends the payload, with an ID token if the target wants one. After
// a 401 to a token that is not new, it sends the payload once more with another token.
// Cloud Run itself answers 401 before the function sees the request.
func (p *proxy) sendAuthenticated(ctx context.Context, to *target, payload []byte) reply {
	if to.audience == "" {
		return p.post(ctx, to, payload, sensitive.String{})
	}
	first, token := p.sendWithToken(ctx, to, payload)
	if first.status != http.StatusUnauthorized || !p.tokens.Discard(to.audience, token) {
		return first
	}
	second, _ := p.sendWithToken(ctx, to, payload)
	if errors.Is(second.err, errNoIDToken) {
		second.status = first.status
	}
	return second
}

// sendWithToken sends the payload with an ID token, and returns the token too.
func (p *proxy) sendWithToken(ctx context.Context, to *target, payload []byte) (reply, sensitive.String) {
	use, err := p.tokens.Use(ctx, to.audience)
	if err != nil {
		return reply{err: fmt.Errorf("%w: %w", errNoIDToken, err)}, sensitive.String{}
	}
	defer finishRenewal(ctx, use)
	return p.post(ctx, to, payload, use.Token), use.Token
}

// finishRenewal waits for the renewal of a token, and logs it.
func finishRenewal(ctx context.Context, use *federation.Use) {
	renewed, err := use.Wait()
	if renewed {
		logging.Add(ctx, slog.Bool(logging.Renewed, true))
	}
	if err != nil {
		logging.Raise(ctx, slog.LevelWarn)
		logging.Add(ctx, slog.String("renew_error", err.Error()))
	}
}

// post makes one request. The client handles gzip by itself.
func (p *proxy) post(ctx context.Context, to *target, payload []byte, token sensitive.String) reply {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.url, bytes.NewReader(payload))
	if err != nil {
		return reply{err: transport.Cause(ctx, err)}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(regionHeader, string(p.region))
	if trace := traceparent(ctx); trace != "" {
		req.Header.Set("Traceparent", trace)
	}
	if !token.Empty() {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return reply{err: transport.Cause(ctx, err)}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return reply{status: resp.StatusCode, err: transport.Cause(ctx, err)}
	case len(body) > maxAnswer:
		return reply{status: resp.StatusCode, err: errTooLarge}
	}
	return reply{status: resp.StatusCode, body: body}
}

// traceparent returns the W3C traceparent of the invocation's trace, so that the log of
// the functions has the trace that AWS shows, or "" if there is none. Lambda's form is
// Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1:
// https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader.
func traceparent(ctx context.Context) string {
	header, _ := ctx.Value("x-amzn-trace-id").(string) // the key of aws-lambda-go
	found := amazonTrace.FindStringSubmatch(header)
	if found == nil {
		return ""
	}
	return "00-" + found[1] + found[2] + "-" + found[3] + "-0" + found[4]
}

var amazonTrace = regexp.MustCompile(`^Root=1-([0-9a-f]{8})-([0-9a-f]{24});Parent=([0-9a-f]{16});Sampled=([01])\b`)
