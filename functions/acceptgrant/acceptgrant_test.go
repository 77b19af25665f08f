package acceptgrant_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/functions/acceptgrant"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/handler"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

func function(t *testing.T, w *accesstest.World) *acceptgrant.Function {
	t.Helper()
	method, err := grantee.ParseMethod("userinfo:" + w.Server.UserInfoURL)
	if err != nil {
		t.Fatal(err)
	}
	grantees, err := grantee.New(method, grantee.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tokenInfo, err := url.Parse(w.Server.LWATokenInfoURL)
	if err != nil {
		t.Fatal(err)
	}
	return &acceptgrant.Function{
		TokenInfoURL: tokenInfo, Skill: accesstest.Skill, Regions: []alexa.Region{alexa.EU}, Grantees: grantees, LWA: w.LWA, Store: w.Store,
		Sealer: w.Sealer, Announce: w.Announcer(), Now: w.Now,
	}
}

func directive(code, granteeToken string) handler.Request {
	return handler.Request{Header: http.Header{}, Body: fmt.Appendf(nil, `{"directive":{
		"header":{"namespace":"Alexa.Authorization","name":"AcceptGrant","messageId":"m-1","payloadVersion":"3"},
		"payload":{"grant":{"type":"OAuth2.AuthorizationCode","code":%q},"grantee":{"type":"BearerToken","token":%q}}}}`, code, granteeToken)}
}

// name returns the name of the answer's event, followed by an error's type.
func name(t *testing.T, answer handler.Answer) string {
	t.Helper()
	var body struct {
		Event struct {
			Header  struct{ Name, MessageID string }
			Payload struct{ Type string }
		}
	}
	if err := json.Unmarshal(answer.Body, &body); err != nil || answer.Status != http.StatusOK || body.Event.Header.MessageID == "" {
		t.Fatalf("%d %s: %v", answer.Status, answer.Body, err)
	}
	return body.Event.Header.Name + body.Event.Payload.Type
}

const (
	success = "AcceptGrant.Response"
	failure = "ErrorResponseACCEPT_GRANT_FAILED"
)

func TestAcceptGrant(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		token   string
		region  string
		prepare func(*accesstest.World)
		failure string // in the log line; empty: linked
	}{
		{"linked", "grantee-u-1", "EU", nil, ""},
		{"region assumed", "grantee-u-1", "", nil, ""},
		{"region not served", "grantee-u-1", "NA", nil, "internal"},
		{"unknown region", "grantee-u-1", "eu-west-1", nil, "internal"},
		{"unknown customer", "stranger", "EU", nil, "grantee"},
		{"LWA refuses the code", "grantee-u-1", "EU", func(w *accesstest.World) {
			w.Sim.Script(simulator.Exchange, simulator.Fault{Code: simulator.LWAInvalidGrant})
		}, "code"},
		{"LWA refuses us", "grantee-u-1", "EU", func(w *accesstest.World) {
			w.Sim.Script(simulator.Exchange, simulator.Fault{Code: simulator.LWAInvalidClient})
		}, "lwa"},
		{"LWA fails once", "grantee-u-1", "EU", func(w *accesstest.World) {
			w.Sim.Script(simulator.Exchange, simulator.Fault{Status: 503})
		}, ""},
		{"LWA is down", "grantee-u-1", "EU", func(w *accesstest.World) {
			w.Sim.Always(simulator.Exchange, simulator.Fault{Status: 503})
		}, "lwa"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := accesstest.New(t, simulator.Options{})
			if test.prepare != nil {
				test.prepare(w)
			}
			code := w.Sim.Code(alexa.EU, "amzn-1").Reveal()
			r := directive(code, test.token)
			if test.region != "" {
				r.Header.Set(acceptgrant.RegionHeader, test.region)
			}
			ctx, line := logging.Begin(t.Context())
			want, field := success, `"outcome":"accepted"`
			if test.failure != "" {
				want, field = failure, `"failure":"`+test.failure+`"`
			}
			if got := name(t, function(t, w).Handle(ctx, r)); got != want {
				t.Errorf("answer = %s, want %s", got, want)
			}
			var written bytes.Buffer
			line.Write(ctx, logging.New(&written), "AcceptGrant")
			if level := `"severity":"` + severity(test.name, want) + `"`; !strings.Contains(written.String(), level) ||
				!strings.Contains(written.String(), field) {
				t.Errorf("log line = %s, want %s and %s", &written, level, field)
			}
			record, err := w.Store.Read(t.Context(), accesstest.Key("u-1"))
			g, stored := record.Grants[grant.ID(alexa.EU, accesstest.Skill, code)]
			if stored != (want == success) || err != nil && !errors.Is(err, grant.ErrNotFound) {
				t.Errorf("stored = %v (%v), want %v", stored, err, want == success)
			}
			if stored && (g.State != grant.Active || g.Region != alexa.EU || !g.ExpiresAt.Equal(w.Now().Add(time.Hour))) {
				t.Errorf("stored grant = %+v, want active in EU for an hour", g)
			}
		})
	}
}

// severity returns the severity that a log line should have: a bad code or token
// needs no person, every other failure does.
func severity(test, answer string) string {
	switch {
	case answer == success:
		return "INFO"
	case test == "unknown customer", test == "LWA refuses the code":
		return "WARNING"
	}
	return "ERROR"
}

// TestRegionIsNotGuessed: with two regions served, the skill proxy must name the
// region.
func TestRegionIsNotGuessed(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	f := function(t, w)
	f.Regions = append(f.Regions, alexa.NA)
	if got := name(t, f.Handle(t.Context(), directive(w.Sim.Code(alexa.EU, "amzn-1").Reveal(), "grantee-u-1"))); got != failure {
		t.Errorf("answer = %s, want %s", got, failure)
	}
}

// TestPartition: a unit of Alexa Smart Properties is refused with Alexa's own
// error, and the answer gives the reason.
func TestPartition(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	request := directive("fake-code", "fake-grantee")
	request.Body = bytes.Replace(request.Body, []byte("BearerToken"), []byte("BearerTokenWithPartition"), 1)
	answer := function(t, w).Handle(t.Context(), request)
	if got := name(t, answer); got != failure || !bytes.Contains(answer.Body, []byte("BearerTokenWithPartition, of Alexa Smart Properties")) {
		t.Errorf("answer = %s: %s, want %s that names the partition", got, answer.Body, failure)
	}
}

// TestSameCode: Alexa, or the proxy, delivers a directive twice.
func TestSameCode(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	f := function(t, w)
	r := directive(w.Sim.Code(alexa.EU, "amzn-1").Reveal(), "grantee-u-1")
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if got := name(t, f.Handle(ctx, r)); got != success {
				t.Errorf("concurrent answer = %s, want %s", got, success)
			}
		})
	}
	wg.Wait()
	if got := name(t, f.Handle(t.Context(), r)); got != success {
		t.Errorf("later answer = %s, want %s", got, success)
	}
	if n := len(w.Read(t, "u-1").Grants); n != 1 {
		t.Errorf("grants = %d, want 1", n)
	}
	if got := name(t, f.Handle(t.Context(), directive("never-issued", "grantee-u-1"))); got != failure {
		t.Errorf("answer to an unknown code = %s, want %s", got, failure)
	}
}

// TestRelink: a failed relink leaves the working grant alone; a successful one adds
// a grant and makes the older one due for a refresh.
func TestRelink(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	f := function(t, w)
	old := w.Link(t, "u-1", alexa.EU, "amzn-1")
	before := w.Read(t, "u-1")
	if got := name(t, f.Handle(t.Context(), directive("bad-code", "grantee-u-1"))); got != failure {
		t.Fatal(got)
	}
	if after := w.Read(t, "u-1"); after.Revision != before.Revision {
		t.Error("a failed relink changed the record")
	}
	if got := name(t, f.Handle(t.Context(), directive(w.Sim.Code(alexa.EU, "amzn-2").Reveal(), "grantee-u-1"))); got != success {
		t.Fatal(got)
	}
	record := w.Read(t, "u-1")
	if g := record.Grants[old]; len(record.Grants) != 2 || g.State != grant.Active || !g.RefreshDue.Equal(w.Now()) {
		t.Errorf("%d grants, the old one %s and due %v; want 2, active, due now", len(record.Grants), g.State, g.RefreshDue)
	}
}

// TestAccounts: one customer of the maker, several Amazon accounts.
func TestAccounts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, second string
		prepare      func(*accesstest.World)
		grants       int
		due          bool // the first grant, now
	}{
		{"same account again", "amzn-1", nil, 1, false},
		{"a spouse's account", "amzn-2", nil, 2, false},
		{"account unknown", "amzn-1", func(w *accesstest.World) {
			w.Sim.Always(simulator.TokenInfo, simulator.Fault{Status: 400})
		}, 2, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := accesstest.New(t, simulator.Options{})
			f := function(t, w)
			link := func(account string) string {
				code := w.Sim.Code(alexa.EU, account).Reveal()
				if got := name(t, f.Handle(t.Context(), directive(code, "grantee-u-1"))); got != success {
					t.Fatal(got)
				}
				return grant.ID(alexa.EU, accesstest.Skill, code)
			}
			first := link("amzn-1")
			if test.prepare != nil {
				test.prepare(w)
			}
			second := link(test.second)
			record := w.Read(t, "u-1")
			if _, ok := record.Grants[second]; !ok || len(record.Grants) != test.grants {
				t.Errorf("%d grants, want %d", len(record.Grants), test.grants)
			}
			if g, ok := record.Grants[first]; ok && g.RefreshDue.Equal(w.Now()) != test.due {
				t.Errorf("first grant is due %v, want now: %v", g.RefreshDue, test.due)
			}
			if strings.Contains(fmt.Sprint(record.Grants), "amzn-") {
				t.Error("the record shows the Amazon account")
			}
		})
	}
}

// TestBackfill: when the permission goes live, Alexa sends one directive for every
// customer of the skill.
func TestBackfill(t *testing.T) {
	t.Parallel()
	const customers = 300
	w := accesstest.New(t, simulator.Options{})
	f := function(t, w)
	var wg sync.WaitGroup
	limit := make(chan struct{}, 64)
	for i := range customers {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			r := directive(w.Sim.Code(alexa.EU, fmt.Sprint("amzn-", i)).Reveal(), fmt.Sprint("grantee-u-", i))
			if got := name(t, f.Handle(context.Background(), r)); got != success {
				t.Errorf("answer for customer %d = %s, want %s", i, got, success)
			}
		})
	}
	wg.Wait()
	if c := w.Sim.Counts(); c.Exchanges != customers || c.Refreshes != 0 {
		t.Errorf("%d exchanges and %d refreshes, want %d and 0", c.Exchanges, c.Refreshes, customers)
	}
	for i := range customers {
		record := w.Read(t, fmt.Sprint("u-", i))
		if len(record.Grants) != 1 || !record.RefreshDue.After(w.Now()) {
			t.Fatalf("customer %d: %d grants, due %v; want 1, due later", i, len(record.Grants), record.RefreshDue)
		}
	}
}

// TestCallerGone: the code is spent, so the tokens are stored.
func TestCallerGone(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	w.Sim.Script(simulator.Exchange, simulator.Fault{OmitExpiresIn: true, Match: func(simulator.Request) bool { cancel(); return true }})
	if got := name(t, function(t, w).Handle(ctx, directive(w.Sim.Code(alexa.EU, "amzn-1").Reveal(), "grantee-u-1"))); got != success {
		t.Errorf("answer = %s, want %s", got, success)
	}
	if n := len(w.Read(t, "u-1").Grants); n != 1 {
		t.Errorf("stored grants = %d, want 1", n)
	}
}

// brokenStore is a store whose writes fail.
type brokenStore struct{ grant.Store }

func (brokenStore) Write(context.Context, grant.Record, grant.Record) (grant.Record, error) {
	return grant.Record{}, errors.New("disk on fire")
}
