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

// Options configure a [Simulator]. The zero value is ready to use.
type Options struct {
	// Now is the simulator's clock, [time.Now] if nil. Codes, tokens and the
	// record use it; a [Fault]'s Delay is real time. It must be safe
	// for concurrent use.
	Now func() time.Time

	// Clients are the pairs of client id and secret that Login with Amazon
	// accepts, [DefaultClient] if empty. One id may have several secrets. Codes
	// are for the first.
	Clients []Client

	TokenLifetime time.Duration // of an access token, one hour if zero
	CodeLifetime  time.Duration // of an authorization code, five minutes if zero

	// KeepRefreshToken has every refresh return the refresh token that was sent.
	// Without it each refresh returns a new one, as Amazon's documents promise;
	// skills have seen both.
	KeepRefreshToken bool

	// OldRefreshTokenGrace is how long a refresh token still works after its
	// rotation. Zero is the hardest case: it becomes invalid at once.
	OldRefreshTokenGrace time.Duration

	// KeepRequests bounds the record, 10,000 requests if zero, none if negative.
	// The oldest are dropped first, and [Counts] has their number.
	KeepRequests int
}

// Client is one pair of client id and secret: the "Alexa Client Id" and
// "Alexa Client Secret" of a skill's Send Alexa Events permission.
type Client struct {
	ID     string
	Secret sensitive.String
}

// DefaultClient returns the client of a simulator whose Options name none.
func DefaultClient() Client {
	return Client{
		ID:     "amzn1.application-oa2-client.fake",
		Secret: sensitive.New("amzn1.oa2-cs.v1.fake-client-secret"),
	}
}

// withDefaults returns the options with defaults for zero fields.
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

// Simulator is Login with Amazon and the three event gateways. It is safe for concurrent
// use, even while it serves.
type Simulator struct {
	options  Options
	ledger   *ledger
	script   *script
	journal  *journal
	states   *states
	lwa      http.Handler // Login with Amazon, and the control interface
	gateways map[alexa.Region]http.Handler
}

// New returns a simulator without customers and faults.
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

// ServeHTTP serves the event gateway of a region if the Host header names it
// (api.amazonalexa.com, api.eu.amazonalexa.com, api.fe.amazonalexa.com), and Login with
// Amazon with the control interface for every other name. A local listener has no such
// name: see [Simulator.GatewayHandler] and [Start].
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if region, ok := regionOfHost(r.Host); ok {
		s.gateways[region].ServeHTTP(w, r)
		return
	}
	s.lwa.ServeHTTP(w, r)
}

// GatewayHandler returns the handler of one region's event gateway, for any Host header.
// Behind httptest.NewServer it has a base URL of its own.
func (s *Simulator) GatewayHandler(region alexa.Region) http.Handler {
	if gateway, ok := s.gateways[region]; ok {
		return gateway
	}
	return http.NotFoundHandler()
}

// regionOfHost returns the region of a Host header, with or without a port.
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

// Code enables the skill for an Amazon user in a region and returns the authorization
// code that Alexa would put into AcceptGrant. The code can be exchanged once. An earlier
// enablement of the user stays: call [Simulator.Disable] first to simulate a customer
// who disables and enables again.
func (s *Simulator) Code(region alexa.Region, amazonUser string) sensitive.String {
	return sensitive.New(s.ledger.enable(account{region, amazonUser}, s.options.Now()))
}

// Disable simulates a customer who disables the skill. It revokes every grant of the
// user in the region, and codes that were not exchanged: a refresh is answered with
// invalid_grant, an event with 403 SKILL_DISABLED_EXCEPTION. Amazon may also answer an
// event with 401, like [Simulator.ExpireAccessTokens] after Disable. Disable reports
// whether the user had a grant.
func (s *Simulator) Disable(region alexa.Region, amazonUser string) bool {
	who := account{region, amazonUser}
	s.states.forget(who)
	return s.ledger.disable(who)
}

// ExpireAccessTokens expires a user's current access tokens: the gateway answers 401, and
// a refresh returns a valid one. It reports whether the user had a grant.
func (s *Simulator) ExpireAccessTokens(region alexa.Region, amazonUser string) bool {
	return s.ledger.expire(account{region, amazonUser})
}

// Users returns the Amazon users who ever enabled the skill in a region, in order.
func (s *Simulator) Users(region alexa.Region) []string { return s.ledger.users(region) }

// State returns the reported state of a user's endpoints by endpoint id: the last
// accepted value of each property. At most 300 endpoints of a user and 300 properties of
// an endpoint are kept.
func (s *Simulator) State(region alexa.Region, amazonUser string) map[string][]Property {
	return s.states.of(account{region, amazonUser})
}
