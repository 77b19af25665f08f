package cutover

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// maxToken is the length of the longest token of Login with Amazon:
// https://developer.amazon.com/docs/login-with-amazon/refresh-token.html.
const maxToken = 2048

// row is a line of the input.
type row struct {
	id     string // of its grant; empty until the line is judged
	userID string
	region alexa.Region
	token  lwa.Token
}

// wire is a row as it is written.
type wire struct {
	UserID       string `json:"userId"`
	Region       string `json:"region"`
	RefreshToken string `json:"refreshToken"`
	ClientID     string `json:"clientId"`
	AccessToken  string `json:"accessToken"`
	Expiry       string `json:"expiry"`
}

var errNotObject = errors.New("want a JSON object with userId, region, refreshToken and clientId, " +
	"optionally accessToken and expiry, and nothing else")

// parse parses a line. An error names the field and what is allowed, and quotes nothing
// of the line.
func parse(line []byte) (row, error) {
	var w wire
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&w)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return row{}, fmt.Errorf("%s: want a string", wrong.Field)
	}
	if _, after := decoder.Token(); err != nil || !errors.Is(after, io.EOF) {
		return row{}, errNotObject // the decoder's own errors may quote the line
	}
	r := row{userID: w.UserID, token: lwa.Token{
		RefreshToken: sensitive.New(w.RefreshToken), AccessToken: sensitive.New(w.AccessToken), ClientID: w.ClientID,
	}}
	if r.userID == "" {
		return r, errors.New("userId: missing")
	}
	if r.region, err = alexa.ParseRegion(w.Region); err != nil {
		return r, errors.New("region: want NA, EU or FE")
	}
	switch {
	case w.RefreshToken == "":
		return r, errors.New("refreshToken: missing")
	case !isToken(w.RefreshToken):
		return r, fmt.Errorf("refreshToken: want at most %d characters and no spaces", maxToken)
	case !isToken(w.AccessToken):
		return r, fmt.Errorf("accessToken: want at most %d characters and no spaces", maxToken)
	case (w.AccessToken == "") != (w.Expiry == ""):
		return r, errors.New("accessToken, expiry: give both or neither")
	case w.Expiry == "":
		return r, nil
	}
	if r.token.ExpiresAt, err = alexa.ParseTime(w.Expiry); err != nil {
		return r, errors.New("expiry: want a time like 2026-01-02T15:04:05Z")
	}
	return r, nil
}

func isToken(text string) bool {
	return len(text) <= maxToken && !strings.ContainsFunc(text, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) })
}

// checkClient returns an error if the refresh token belongs to a client that the
// functions do not have: Login with Amazon would refuse it like a revoked one.
func (r row) checkClient(credentials []lwa.Credentials) error {
	var known []string
	for _, c := range credentials {
		if c.ClientID == r.token.ClientID {
			return nil
		}
		if !slices.Contains(known, c.ClientID) {
			known = append(known, c.ClientID)
		}
	}
	return fmt.Errorf("clientId: want the client of --credentials, %s: no other client can use the token", strings.Join(known, " or "))
}
