package simulator

import (
	"cmp"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// Options change what a [Simulator] does. The zero value is ready to use.
type Options struct {
	// Now is the simulator's clock, [time.Now] when nil. Codes, tokens and the
	// record follow it; a [Fault]'s Delay is real time. It is called from many
	// goroutines at once.
	Now func() time.Time

	// Clients are the pairs of client id and secret that Login with Amazon
	// knows, [DefaultClient] when empty. One id may have several secrets. Codes
	// are made for the first.
	Clients []Client

	TokenLifetime time.Duration // of an access token, one hour when zero
	CodeLifetime  time.Duration // of an authorization code, five minutes when zero

	// KeepRefreshToken makes every refresh answer with the refresh token that
	// was sent. Amazon's documents promise a new one each time, and so does the
	// simulator otherwise; implementations have met both.
	KeepRefreshToken bool

	// OldRefreshTokenGrace is how long a refresh token still works after
	// another took its place. Zero is the hardest case: it is dead at once.
	OldRefreshTokenGrace time.Duration

	// KeepRequests bounds the record, 10,000 requests when zero, none when
	// negative. The oldest go first, and [Counts] says how many.
	KeepRequests int
}

// Client is one pair of client id and secret: the "Alexa Client Id" and
// "Alexa Client Secret" of a skill's Send Alexa Events permission.
type Client struct {
	ID     string
	Secret sensitive.String
}

// DefaultClient is the client a simulator knows when Options name none.
func DefaultClient() Client {
	return Client{
		ID:     "amzn1.application-oa2-client.fake",
		Secret: sensitive.New("amzn1.oa2-cs.v1.fake-client-secret"),
	}
}

// withDefaults fills what was left out.
func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if len(o.Clients) == 0 {
		o.Clients = []Client{DefaultClient()}
	}
	o.TokenLifetime = cmp.Or(o.TokenLifetime, time.Hour)
	o.CodeLifetime = cmp.Or(o.CodeLifetime, 5*time.Minute)
	o.KeepRequests = cmp.Or(o.KeepRequests, 10_000)
	return o
}

// Simulator is Login with Amazon and the three event gateways. Its methods may
// be called from many goroutines, also while it serves.
type Simulator struct {
	options  Options
	ledger   *ledger
	script   *script
	journal  *journal
	states   *states
	lwa      http.Handler // Login with Amazon, and the control interface
	gateways map[alexa.Region]http.Handler
}

// New returns a simulator that knows no customer and has no faults.
func New(options Options) *Simulator {
	options = options.withDefaults()
	s := &Simulator{
		options:  options,
		ledger:   newLedger(options),
		script:   newScript(),
		journal:  newJournal(options.KeepRequests),
		states:   newStates(),
		gateways: make(map[alexa.Region]http.Handler),
	}
	lwa := http.NewServeMux()
	lwa.HandleFunc("POST /auth/o2/token", s.serveToken)
	lwa.HandleFunc("GET /auth/o2/tokeninfo", s.serveTokenInfo)
	s.routeControl(lwa)
	s.lwa = lwa
	for _, region := range alexa.Regions() {
		gateway := http.NewServeMux()
		gateway.HandleFunc("POST /v3/events", func(w http.ResponseWriter, r *http.Request) { s.serveEvent(w, r, region) })
		s.gateways[region] = gateway
	}
	return s
}

// ServeHTTP serves the event gateway of a region when the Host header names
// it (api.amazonalexa.com, api.eu.amazonalexa.com, api.fe.amazonalexa.com) and
// Login with Amazon with the control interface under every other name. A local
// listener has no such name: see [Simulator.GatewayHandler] and [Start].
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if region, ok := regionOfHost(r.Host); ok {
		s.gateways[region].ServeHTTP(w, r)
		return
	}
	s.lwa.ServeHTTP(w, r)
}

// GatewayHandler serves one region's event gateway, whatever the Host header
// says. Behind httptest.NewServer it gives that gateway a base URL of its own.
func (s *Simulator) GatewayHandler(region alexa.Region) http.Handler {
	if gateway, ok := s.gateways[region]; ok {
		return gateway
	}
	return http.NotFoundHandler()
}

// regionOfHost reads a Host header, with or without a port.
func regionOfHost(header string) (alexa.Region, bool) {
	host, _, err := net.SplitHostPort(header)
	if err != nil {
		host = header
	}
	for _, region := range alexa.Regions() {
		if strings.EqualFold("https://"+host, region.GatewayURL()) {
			return region, true
		}
	}
	return "", false
}

// Code enables the skill for an Amazon user in a region and returns the
// authorization code that Alexa would put into AcceptGrant. It can be exchanged
// once. An earlier enablement of the same user stays as it is: call
// [Simulator.Disable] first for a customer who disables and enables again.
func (s *Simulator) Code(region alexa.Region, amazonUser string) sensitive.String {
	return sensitive.New(s.ledger.enable(account{region, amazonUser}, s.options.Now()))
}

// Disable is the customer disabling the skill. Every grant the user has in the
// region dies, codes that were not exchanged included: a refresh is answered
// with invalid_grant, an event with 403 SKILL_DISABLED_EXCEPTION. In reality
// the answer to an event may also be 401; [Simulator.ExpireAccessTokens] after
// Disable plays that. It reports whether the user had a grant.
func (s *Simulator) Disable(region alexa.Region, amazonUser string) bool {
	who := account{region, amazonUser}
	s.states.forget(who)
	return s.ledger.disable(who)
}

// ExpireAccessTokens makes the access tokens that a user has now unusable, as
// if their hour were over: the gateway answers 401, while a refresh still works
// and gives a good one. It reports whether the user had a grant.
func (s *Simulator) ExpireAccessTokens(region alexa.Region, amazonUser string) bool {
	return s.ledger.expire(account{region, amazonUser})
}

// State is what Alexa has been told of a user's endpoints: the latest accepted
// value of each property, in the order of arrival, by endpoint id. At most 300
// endpoints of a user and 300 properties of an endpoint are remembered.
func (s *Simulator) State(region alexa.Region, amazonUser string) map[string][]Property {
	return s.states.of(account{region, amazonUser})
}
