package wiring

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/secret"
)

// StoreConfig says where grants are kept.
type StoreConfig struct {
	Memory   bool   // GRANT_STORE=memory
	Database string // FIRESTORE_DATABASE
}

// https://cloud.google.com/firestore/docs/manage-databases#database-id
var databaseID = regexp.MustCompile(`^(\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$`)

// ReadStore reads where grants are kept.
func ReadStore(s *config.Source) StoreConfig {
	if s.OneOf("GRANT_STORE", "firestore", "memory") == "memory" {
		s.Unused("FIRESTORE_DATABASE", "GRANT_STORE=memory")
		return StoreConfig{Memory: true}
	}
	return StoreConfig{Database: s.Matching("FIRESTORE_DATABASE", "(default)", databaseID,
		"(default), or 4 to 63 lowercase letters, digits and hyphens, a letter first")}
}

// TokensConfig says how tokens are obtained from Login with Amazon, and how they
// are kept.
type TokensConfig struct {
	Store       StoreConfig
	Keyset      secret.Ref // TOKEN_KEYSET, only for Firestore
	GrantEvents string     // GRANT_EVENTS_TOPIC, empty for none
	Credentials secret.Ref // LWA_CREDENTIALS
	URL         *url.URL   // LWA_TOKEN_URL
}

// ReadTokens reads how tokens are obtained and kept.
func ReadTokens(s *config.Source) TokensConfig {
	c := TokensConfig{
		Store:       ReadStore(s),
		GrantEvents: ReadTopic(s, "GRANT_EVENTS_TOPIC"),
		Credentials: readSecret(s, "LWA_CREDENTIALS", `reference to a secret {"client_id":…,"client_secret":…}`),
		URL:         s.URL("LWA_TOKEN_URL", "https://api.amazon.com/auth/o2/token"),
	}
	if c.Store.Memory {
		s.Unused("TOKEN_KEYSET", "GRANT_STORE=memory")
	} else {
		c.Keyset = readSecret(s, "TOKEN_KEYSET", "with GRANT_STORE=firestore: reference to the keyset that seals tokens")
	}
	return c
}

// ReadTokenInfo reads the URL of Login with Amazon's tokeninfo, which says which
// account a token is for. If LWA_TOKENINFO_URL is not set, it is next to the token
// endpoint.
func (c TokensConfig) ReadTokenInfo(s *config.Source) *url.URL {
	beside := *c.URL
	beside.Path = path.Join(path.Dir(beside.Path), "tokeninfo")
	return s.URL("LWA_TOKENINFO_URL", beside.String())
}

// GranteesConfig says how grantee tokens are resolved to customers.
type GranteesConfig struct {
	Method      grantee.Method // GRANTEE_RESOLVER
	Options     grantee.Options
	Credentials secret.Ref // GRANTEE_CREDENTIALS, only for introspection
}

// ReadGrantees reads how customers are recognized.
func ReadGrantees(s *config.Source) GranteesConfig {
	c := GranteesConfig{Options: grantee.Options{
		Claim:    s.Text("GRANTEE_CLAIM", "sub"),
		JWKS:     s.Text("GRANTEE_JWKS", ""),
		Audience: s.Text("GRANTEE_AUDIENCE", ""),
	}}
	text := s.Required("GRANTEE_RESOLVER", "userinfo:URL, introspection:URL or jwt:ISSUER")
	if text == "" {
		return c
	}
	var err error
	if c.Method, err = grantee.ParseMethod(text); err != nil {
		s.Fault("GRANTEE_RESOLVER", "%v", err)
		return c
	}
	if c.Method.NeedsCredentials() {
		c.Credentials = readSecret(s, "GRANTEE_CREDENTIALS", "reference to the client credentials that introspection asks for")
	} else {
		s.Unused("GRANTEE_CREDENTIALS", "this GRANTEE_RESOLVER")
	}
	return c
}

// ReadRegions reads which Alexa regions the process serves.
func ReadRegions(s *config.Source) (regions []alexa.Region) {
	text := s.Required("ALEXA_REGIONS", "NA, EU, FE, comma-separated")
	if text == "" {
		return nil
	}
	for name := range strings.SplitSeq(text, ",") {
		region, err := alexa.ParseRegion(strings.TrimSpace(name))
		if err != nil || slices.Contains(regions, region) {
			s.Fault("ALEXA_REGIONS", "must be NA, EU, FE or several of them, each once, comma-separated")
			continue
		}
		regions = append(regions, region)
	}
	return regions
}

// ReadGateways reads the URLs of the regions' event gateways.
func ReadGateways(s *config.Source, regions []alexa.Region) map[alexa.Region]*url.URL {
	gateways := make(map[alexa.Region]*url.URL)
	for _, region := range regions {
		gateways[region] = s.BaseURL("EVENT_GATEWAY_"+string(region), region.GatewayURL())
	}
	return gateways
}

// https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names
var topicID = regexp.MustCompile(`^(projects/[^/]+/topics/)?[A-Za-z][A-Za-z0-9._~+%-]{2,254}$`)

// ReadTopic reads the id of a Pub/Sub topic, empty for none.
func ReadTopic(s *config.Source, name string) string {
	return s.Matching(name, "", topicID, "the id of a topic, or projects/PROJECT/topics/ID")
}

// ReadIdleAfter reads how long a customer may go without an event before the sweep
// leaves the grants to be refreshed on demand; zero means no limit. The functions
// that sweep and those that deliver must agree: the latter record when a customer
// got an event.
func ReadIdleAfter(s *config.Source) time.Duration {
	if s.Text("REFRESH_IDLE_AFTER", "off") == "off" {
		return 0
	}
	return s.Duration("REFRESH_IDLE_AFTER", 30*24*time.Hour, time.Hour, 10*365*24*time.Hour)
}

// readSecret reads a required variable that refers to a secret.
func readSecret(s *config.Source, name, why string) secret.Ref {
	text := s.Required(name, why)
	if text == "" {
		return secret.Ref{}
	}
	ref, err := secret.ParseRef(text)
	if err != nil {
		s.Fault(name, "%v", err)
	}
	return ref
}
