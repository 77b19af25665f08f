package grantee_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
)

type members map[string]any

// TestProviders accepts an access token of each provider, in its documented form,
// with the options that infra/README.md gives for it.
func TestProviders(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	rs256 := wrapSigner(t, jose.RS256, "k1", private, err)
	const certificate = "MIIDfTCCAmWgAwIBAgIJfake" // no certificate: unreadable ones are ignored
	for name, tt := range map[string]struct {
		issuer   string // the issuer's path
		keys     string // the key set's path
		hidden   bool   // without a discovery document
		key      members
		others   []members // other keys
		typ      jose.ContentType
		claims   members
		claim    string
		audience string
		want     string
	}{
		// https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
		"Cognito": {
			issuer: "/eu-west-1_Example", keys: "/eu-west-1_Example/.well-known/jwks.json",
			key: members{"alg": "RS256", "use": "sig"},
			claims: members{
				"sub": "aaaaaaaa-bbbb", "client_id": "example", "token_use": "access", "username": "u-1", "version": 2,
				"auth_time": now.Unix(), "cognito:groups": []string{"homes"}, "scope": "openid",
			},
			claim: "username", want: "u-1", // it has no "aud"
		},
		// https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles
		"Auth0": {
			issuer: "/", keys: "/.well-known/jwks.json",
			key: members{"alg": "RS256", "use": "sig", "x5c": []string{certificate}, "x5t": "QzczNUNGNzFEMzQ0REU0M0Zm"},
			claims: members{
				"sub": "auth0|u-1", "aud": []string{audience, "https://example.auth0.com/userinfo"}, "azp": "example", "gty": "password",
			},
			audience: audience, want: "auth0|u-1",
		},
		// https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/: the "sub" is the login, which may change
		"Okta": {
			issuer: "/oauth2/default", keys: "/oauth2/default/v1/keys",
			key: members{"alg": "RS256", "use": "sig"},
			claims: members{
				"ver": 1, "jti": "AT.example", "sub": "u-1@example.com", "aud": "api://default", "cid": "example", "uid": "00u1",
				"scp": []string{"openid"},
			},
			claim: "uid", audience: "api://default", want: "00u1",
		},
		// https://www.keycloak.org/docs/latest/server_admin/#realm_keys
		"Keycloak": {
			issuer: "/realms/maker", keys: "/realms/maker/protocol/openid-connect/certs",
			key: members{"alg": "RS256", "use": "sig", "x5c": []string{certificate}, "x5t": "hexhex", "x5t#S256": "hexhex"},
			others: []members{
				{"kid": "enc", "kty": "RSA", "alg": "RSA-OAEP", "use": "enc", "n": "u1SU1L", "e": "AQAB", "x5c": []string{certificate}},
				{"kid": "pad", "kty": "RSA", "n": "u1SU1L==", "e": "AQAB"},
				{"kid": "ed448", "kty": "OKP", "crv": "Ed448", "use": "sig", "x": "AAAA"},
				{"kid": "pq", "kty": "AKP", "use": "sig", "pub": "AAAA"},
			},
			claims: members{
				"sub": "u-1", "typ": "Bearer", "azp": "alexa", "aud": "account", "acr": "1", "allowed-origins": []string{"*"},
				"realm_access": members{"roles": []string{"user"}},
			},
			audience: "account", want: "u-1",
		},
		// https://firebase.google.com/docs/auth/admin/verify-id-tokens: an ID token stands for the customer
		"Firebase": {
			issuer: "/example-project", keys: "/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
			key: members{"alg": "RS256", "use": "sig"},
			claims: members{
				"sub": "u-1", "user_id": "u-1", "aud": "example-project", "auth_time": now.Unix(),
				"firebase": members{"identities": members{}, "sign_in_provider": "custom"},
			},
			audience: "example-project", want: "u-1",
		},
		// https://learn.microsoft.com/azure/active-directory-b2c/tokens-overview: the document is below the policy
		"Azure AD B2C": {
			issuer: "/11111111-2222/v2.0/", keys: "/example.onmicrosoft.com/B2C_1_signin/discovery/v2.0/keys", hidden: true,
			key: members{"use": "sig", "nbf": 1493763266},
			claims: members{
				"sub": "Not supported currently. Use oid claim.", "oid": "u-1", "aud": audience, "tfp": "B2C_1_signin", "ver": "1.0", "nbf": now.Unix(),
			},
			claim: "oid", audience: audience, want: "u-1",
		},
		// https://wso2.com/asgardeo/docs/guides/authentication/oidc/validate-jwt-with-jwks
		"Asgardeo": {
			issuer: "/t/maker/oauth2/token", keys: "/t/maker/oauth2/jwks",
			key:    members{"alg": "RS256", "use": "sig", "x5c": []string{certificate}, "x5t": "NjVhZjY5", "x5t#S256": "NjVhZjY5"},
			typ:    "at+jwt",
			claims: members{"sub": "u-1", "aut": "APPLICATION_USER", "client_id": "example", "aud": "example", "azp": "example", "org_id": "o"},
			want:   "u-1", audience: "example",
		},
		// https://github.com/coreos/go-oidc/issues/490
		"a key of a curve that is not understood": {
			issuer: "", keys: "/keys", key: members{},
			others: []members{{"kid": "k2", "kty": "EC", "crv": "secp256k1", "use": "sig", "x": "eb5m", "y": "SDra"}, nil, {"kid": 7, "alg": 7}},
			claims: members{"sub": "u-1"}, want: "u-1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			s := badserver.New(t, mux)
			issuer := s.URL + tt.issuer
			mux.HandleFunc("GET "+tt.keys, writes(members{"keys": append(tt.others, publicOf(t, rs256, tt.key))}))
			o := grantee.Options{Claim: tt.claim, Audience: tt.audience}
			if tt.hidden {
				o.JWKS = s.URL + tt.keys
				mux.HandleFunc("GET /", func(_ http.ResponseWriter, r *http.Request) { t.Errorf("unexpected request for %s", r.URL.Path) })
			} else {
				document := members{"issuer": issuer, "jwks_uri": s.URL + tt.keys, "id_token_signing_alg_values_supported": []string{"RS256"}}
				mux.HandleFunc("GET "+strings.TrimSuffix(tt.issuer, "/")+"/.well-known/openid-configuration", writes(document))
			}
			claims := members{"iss": issuer, "iat": now.Unix(), "exp": now.Unix() + 3600}
			maps.Copy(claims, tt.claims)
			payload, err := json.Marshal(claims)
			if err != nil {
				t.Fatal(err)
			}
			options := &jose.SignerOptions{}
			if tt.typ != "" {
				options.WithType(tt.typ)
			}
			wantCustomer(t, newResolver(t, "jwt:"+issuer, o), rs256.signBytes(t, payload, options), tt.want)
		})
	}
}

// publicOf returns a key's public half with more members.
func publicOf(t *testing.T, s signer, more members) members {
	t.Helper()
	text, err := s.public().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var key members
	if err := json.Unmarshal(text, &key); err != nil {
		t.Fatal(err)
	}
	maps.Copy(key, more)
	return key
}

func writes(value any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(value) }
}
