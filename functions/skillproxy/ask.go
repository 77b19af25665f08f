package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/gatepostdev/gatepost/shared/federation"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/telemetry"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// regionHeader names the Alexa region to what is behind.
const regionHeader = "X-Alexa-Region"

// maxAnswer is the most that a Lambda may answer:
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
const maxAnswer = 6 << 20

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

// ask takes the payload to a target, with an ID token if it wants one. A 401
// may mean that our token is not good any more, or not good yet by the other
// side's clock; another is shown once. It returns when nothing is under way:
// Lambda freezes the process after the answer.
func (p *proxy) ask(ctx context.Context, to *target, payload []byte) reply {
	if to.audience == "" {
		return p.post(ctx, to, payload, sensitive.String{})
	}
	first, token := p.askAs(ctx, to, payload)
	if first.status != http.StatusUnauthorized {
		return first
	}
	p.tokens.Discard(to.audience, token)
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
	defer wait(ctx, use)
	return p.post(ctx, to, payload, use.Token), use.Token
}

// wait waits for a renewal, and tells the log of it.
func wait(ctx context.Context, use *federation.Use) {
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
