package lwa

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

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
