package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// Addresses are the addresses of a [Server], each "127.0.0.1:0" if empty. The simulator
// has no authentication: anyone who can reach an address has full control.
type Addresses struct {
	LWA        string // Login with Amazon, the control interface and the identity provider
	NA, EU, FE string // the event gateways

	// Front, if it is set, returns the handler to serve at LWA instead of that one.
	Front func(http.Handler) http.Handler
}

// Server is a listening simulator. Configure the code under test with its URLs.
type Server struct {
	LWATokenURL     string
	LWATokenInfoURL string
	ControlURL      string // without a trailing slash: append "/codes"
	UserInfoURL     string // of the [IdentityProvider]

	gateways map[alexa.Region]string
	servers  []*http.Server
	serving  sync.WaitGroup
	failed   chan error
}

// Start serves a simulator on four free ports of the loopback interface. Close
// the server when done.
func Start(sim *Simulator) (*Server, error) { return StartOn(sim, Addresses{}) }

// StartOn serves a simulator on the given addresses. If it cannot listen on one, it
// serves none.
func StartOn(sim *Simulator, addresses Addresses) (*Server, error) {
	lwa := http.NewServeMux()
	lwa.Handle("/", sim)
	lwa.Handle("/userinfo", IdentityProvider{})
	s := &Server{gateways: make(map[alexa.Region]string), failed: make(chan error, 4)}
	var front http.Handler = lwa
	if addresses.Front != nil {
		front = addresses.Front(lwa)
	}
	base, err := s.listen(addresses.LWA, front)
	s.LWATokenURL, s.LWATokenInfoURL = base+"/auth/o2/token", base+"/auth/o2/tokeninfo"
	s.ControlURL, s.UserInfoURL = base+"/simulator", base+"/userinfo"
	for region, address := range map[alexa.Region]string{alexa.NA: addresses.NA, alexa.EU: addresses.EU, alexa.FE: addresses.FE} {
		if err == nil {
			s.gateways[region], err = s.listen(address, sim.GatewayHandler(region))
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// listen serves a handler and returns its base URL.
func (s *Server) listen(address string, handler http.Handler) (string, error) {
	listener, err := net.Listen("tcp", cmp.Or(address, "127.0.0.1:0"))
	if err != nil {
		return "", fmt.Errorf("start simulator: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	s.servers = append(s.servers, server)
	s.serving.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	})
	return "http://" + dialable(listener.Addr()), nil
}

// dialable returns a listener's address in a form that a client on this machine can
// dial.
func dialable(address net.Addr) string {
	host, port, err := net.SplitHostPort(address.String())
	if err == nil && net.ParseIP(host).IsUnspecified() {
		return net.JoinHostPort("localhost", port)
	}
	return address.String()
}

// GatewayURL returns the base URL of a region's event gateway, without a path.
func (s *Server) GatewayURL(region alexa.Region) string { return s.gateways[region] }

// Env returns the environment variables that point Gatepost to the simulator.
func (s *Server) Env() map[string]string {
	env := map[string]string{"LWA_TOKEN_URL": s.LWATokenURL, "LWA_TOKENINFO_URL": s.LWATokenInfoURL}
	for region, baseURL := range s.gateways {
		env["EVENT_GATEWAY_"+string(region)] = baseURL
	}
	return env
}

// Close closes every listener and connection, including those of delayed requests, and
// waits for the servers to end.
func (s *Server) Close() error {
	var errs []error
	for _, server := range s.servers {
		errs = append(errs, server.Close())
	}
	s.serving.Wait()
	for len(s.failed) > 0 {
		errs = append(errs, <-s.failed)
	}
	return errors.Join(errs...)
}

// IdentityProvider simulates the maker's own OAuth server, which resolves grantee
// tokens: it answers GET /userinfo with {"sub":"u-1"} if the bearer token is
// "grantee-u-1", and with 401 for any other kind of token. The zero value is ready to
// use.
type IdentityProvider struct{}

// ServeHTTP serves GET /userinfo.
func (IdentityProvider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/userinfo":
		http.NotFound(w, r)
		return
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	user, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer grantee-")
	if !ok || user == "" {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":"invalid_token"}`)
		return
	}
	_, _ = io.WriteString(w, marshal(map[string]string{"sub": user}))
}
