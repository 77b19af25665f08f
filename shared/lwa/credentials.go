package lwa

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// Credentials are the Alexa Client Id and Client Secret that the developer
// console shows on its Permissions page under Send Alexa Events. They are not
// those of account linking.
type Credentials struct {
	ClientID     string
	ClientSecret sensitive.String
}

// ParseCredentials parses {"client_id":"…","client_secret":"…"}, or an array of such
// objects, the newest first, as during the rotation of a secret. Errors name the member
// and never quote the text.
func ParseCredentials(text sensitive.String) ([]Credentials, error) {
	type wire struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
	}
	raw := strings.TrimSpace(text.Reveal())
	if strings.HasPrefix(raw, "{") {
		raw = "[" + raw + "]"
	}
	var list []wire
	if err := json.Unmarshal([]byte(raw), &list); err != nil {
		// The decoder's own error may quote the text.
		return nil, errors.New("not a JSON object or array with client_id and client_secret")
	}
	if len(list) == 0 {
		return nil, errors.New("empty array")
	}
	credentials := make([]Credentials, len(list))
	for i, w := range list {
		switch {
		case w.ClientID == "":
			return nil, fmt.Errorf("[%d].client_id: missing", i)
		case w.ClientSecret == "":
			return nil, fmt.Errorf("[%d].client_secret: missing", i)
		}
		credentials[i] = Credentials{ClientID: w.ClientID, ClientSecret: sensitive.New(w.ClientSecret)}
	}
	return credentials, nil
}

// reloadPause is the least time between two reloads: when Login with Amazon refuses the
// client it refuses every refresh, and each would reload the secret.
const reloadPause = time.Minute

// ring holds the credentials in use, and reloads them when they are refused.
type ring struct {
	mu       sync.Mutex
	list     []Credentials
	load     func(context.Context) ([]Credentials, error)
	reloaded time.Time
}

func (r *ring) current() []Credentials {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list
}

// reload reports whether there are other credentials than those that were refused:
// another call has loaded them by now, or the secret has a new version. Concurrent
// callers load once.
func (r *ring) reload(ctx context.Context, refused []Credentials, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.EqualFunc(r.list, refused, same) {
		return true
	}
	if r.load == nil || !r.reloaded.IsZero() && now.Sub(r.reloaded) < reloadPause {
		return false
	}
	r.reloaded = now
	loaded, err := r.load(ctx)
	if err != nil || slices.EqualFunc(r.list, loaded, same) {
		return false
	}
	r.list = loaded
	return true
}

func same(a, b Credentials) bool {
	return a.ClientID == b.ClientID && a.ClientSecret.Equal(b.ClientSecret)
}
