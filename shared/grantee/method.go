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

// Method is a method of verification and its URL. The zero Method is none; only
// ParseMethod returns others.
type Method struct {
	kind kind
	url  string // exactly as given: issuers are compared byte for byte
}

// ParseMethod parses "userinfo:URL", "introspection:URL" or "jwt:ISSUER".
//
// The URL must be absolute and https, since it receives tokens; http is accepted for a
// loopback host only. It must have no user name, password or fragment, and an issuer no
// query. An error names the broken rule and quotes nothing of s, which may hold a
// secret by mistake.
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

// addressFault returns the rule that an address breaks, "" for none. It does not quote
// the address, and drops the error of url.Parse, which does.
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

// TrustsSignature reports whether the method vouches for a token by its issuer's
// signature alone: without Options.Audience it accepts any token of the issuer.
func (m Method) TrustsSignature() bool { return m.kind == kindJWT }

// String returns the method and the host. It omits the rest of the URL, whose query may
// hold a key.
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
