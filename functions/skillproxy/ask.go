package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatepostdev/gatepost/shared/federation"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/telemetry"
	"github.com/gatepostdev/gatepost/shared/transport"
	"github.com/gatepostdev/gatepost/shared/wait"
)

// regionHeader names the Alexa region to what is behind.
const regionHeader = "X-Alexa-Region"

// maxAnswer is the most that a Lambda may answer:
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
const maxAnswer = 6 << 20

const (
	// resendLeft is what must be left for AcceptGrant to be asked again. It may
	// take five seconds and commonly takes one; what is gone by then is a first
	// ID token on the smallest Lambda, and a quick refusal.
	resendLeft = 4500 * time.Millisecond
	// The pause before that is random, so that those whom an ill function
	// refused do not come back together.
	resendPause  = 300 * time.Millisecond
	resendSpread = 200 * time.Millisecond
)

var (
	errNoIDToken = errors.New("no ID token")
	errTooLarge  = errors.New("the answer is larger than a Lambda's may be")
)

// reply is what came from behind.
type reply struct {
	status int // 0 if nothing came
	body   []byte
	err    error // why there is no body; fit for a log
}

// ask takes the payload to a target. It returns when nothing is under way:
// Lambda freezes the process after the answer.
//
// AcceptGrant alone is asked again after bad luck, whether or not it has seen
// the directive: Alexa sends a code once, and AcceptGrant knows one that it has
// exchanged. Another directive could be carried out twice.
func (p *proxy) ask(ctx context.Context, k kind, to *target, payload []byte) reply {
	first := p.present(ctx, to, payload)
	if k != acceptGrant || !first.unlucky() || !p.pause(ctx) {
		return first
	}
	telemetry.Add(ctx, slog.String("resent_after", first.String()))
	return p.present(ctx, to, payload)
}

// unlucky reports whether the same request may be answered in a moment: no
// whole answer came, though there was time for it, or one that says that nobody
// is there just now.
func (r reply) unlucky() bool {
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

// String is the status or the error, for the log.
func (r reply) String() string {
	if r.err != nil {
		return r.err.Error()
	}
	return fmt.Sprintf("status %d", r.status)
}

// pause waits before AcceptGrant is asked again. It reports at once that there
// is no time for that.
func (p *proxy) pause(ctx context.Context) bool {
	return wait.HasTime(ctx, resendLeft) && wait.For(ctx, resendPause+time.Duration(p.draw()*float64(resendSpread))) == nil
}

// present makes the request with an ID token if the target wants one. A 401
// may mean that ours is not good any more, though we had it for a while; then
// another is shown once. Cloud Run itself answers 401 before anybody behind it
// has seen the request.
func (p *proxy) present(ctx context.Context, to *target, payload []byte) reply {
	if to.audience == "" {
		return p.post(ctx, to, payload, sensitive.String{})
	}
	first, token := p.askAs(ctx, to, payload)
	if first.status != http.StatusUnauthorized || !p.tokens.Discard(to.audience, token) {
		return first
	}
	second, _ := p.askAs(ctx, to, payload)
	if errors.Is(second.err, errNoIDToken) {
		second.status = first.status
	}
	return second
}

// askAs asks with an ID token, and returns that too.
func (p *proxy) askAs(ctx context.Context, to *target, payload []byte) (reply, sensitive.String) {
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
		telemetry.Add(ctx, slog.Bool(telemetry.Renewed, true))
	}
	if err != nil {
		telemetry.Raise(ctx, slog.LevelWarn)
		telemetry.Add(ctx, slog.String("renew_error", err.Error()))
	}
}

// post makes one request. The client asks for gzip by itself, and undoes it.
func (p *proxy) post(ctx context.Context, to *target, payload []byte, token sensitive.String) reply {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.url, bytes.NewReader(payload))
	if err != nil {
		return reply{err: transport.Cause(ctx, err)}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(regionHeader, string(p.region))
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
