package simulator

import (
	"io"
	"net/http"
	"strings"
)

// IdentityProvider plays the maker's own OAuth server, which says whose
// grantee token it is: GET /userinfo with the bearer token "grantee-u-1" is
// answered {"sub":"u-1"}, with any other kind of token 401. The zero value is
// ready to use.
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
