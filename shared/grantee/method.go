package grantee

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

type kind string

const (
	kindUserinfo      kind = "userinfo"
	kindIntrospection kind = "introspection"
	kindJWT           kind = "jwt"
)

// Method says how to ask the maker's identity provider. The zero Method is
// none; only ParseMethod makes others.
type Method struct {
	kind kind
	url  string // exactly as given: issuers are compared letter by letter
}

// ParseMethod reads "userinfo:URL", "introspection:URL" or "jwt:ISSUER".
//
// The URL must be absolute and https, since tokens travel to it; http is
// taken for a loopback host only. It must have no user name, password or
// fragment, and an issuer no query. An error names the rule that was broken
// and shows nothing of s, which may hold a secret by mistake.
func ParseMethod(s string) (Method, error) {
	name, address, _ := strings.Cut(s, ":")
	m := Method{kind: kind(name), url: address}
	switch m.kind {
	case kindUserinfo, kindIntrospection, kindJWT:
	default:
		return Method{}, errors.New("grantee: the method must be userinfo:URL, introspection:URL or jwt:ISSUER")
	}
	if fault := addressFault(address, m.kind == kindJWT); fault != "" {
		return Method{}, errors.New("grantee: the URL of " + name + " " + fault)
	}
	return m, nil
}

// addressFault says which rule an address breaks, "" for none. It never
// quotes the address; neither may the error of url.Parse be shown, which does.
func addressFault(address string, issuer bool) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return "must be absolute, like https://id.example.com/path"
	case u.User != nil:
		return "must not have a user name or password"
	case strings.Contains(address, "#"):
		return "must not have a fragment"
	case issuer && strings.Contains(address, "?"):
		return "must not have a query, since it is an issuer"
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "must be https (http is for a loopback host only)"
	}
	return ""
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// NeedsCredentials reports whether Options.Credentials must be set for the
// method.
func (m Method) NeedsCredentials() bool { return m.kind == kindIntrospection }

// TrustsSignature reports whether the method vouches for a token by its
// issuer's signature alone, so that without Options.Audience any token of the
// issuer passes.
func (m Method) TrustsSignature() bool { return m.kind == kindJWT }

// String names the method and the host that is asked. It leaves the rest of
// the URL out, whose query may hold a key.
func (m Method) String() string {
	if m.kind == "" {
		return "none"
	}
	u, err := url.Parse(m.url)
	if err != nil {
		return string(m.kind)
	}
	return string(m.kind) + ":" + u.Scheme + "://" + u.Host
}
