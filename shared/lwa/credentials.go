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

// ParseCredentials reads {"client_id":"…","client_secret":"…"}, or an array of
// them, the newest first, as it stands while a secret is rotated. Errors name
// the member and never the text.
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

// reloadPause is the least time between two looks for new credentials: when
// Login with Amazon refuses us it refuses everybody's refresh, and the secret's
// store should not be asked for each.
const reloadPause = time.Minute

// ring holds the credentials in use, and gets new ones when they are refused.
type ring struct {
	mu     sync.Mutex
	list   []Credentials
	load   func(context.Context) ([]Credentials, error)
	looked time.Time
}

func (r *ring) current() []Credentials {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list
}

// reload looks for other credentials than those that were refused, and reports
// whether there are any: because somebody else has found them by now, or
// because the secret has a new version. Waiting callers look once.
func (r *ring) reload(ctx context.Context, refused []Credentials, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.EqualFunc(r.list, refused, same) {
		return true
	}
	if r.load == nil || !r.looked.IsZero() && now.Sub(r.looked) < reloadPause {
		return false
	}
	r.looked = now
	found, err := r.load(ctx)
	if err != nil || slices.EqualFunc(r.list, found, same) {
		return false
	}
	r.list = found
	return true
}

func same(a, b Credentials) bool {
	return a.ClientID == b.ClientID && a.ClientSecret.Equal(b.ClientSecret)
}
