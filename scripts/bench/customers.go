package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/transport"
)

// linking is how many customers are linked at a time.
const linking = 16

// enrol has customers enable the skill, as each sender comes to know of it.
type enrol struct {
	world  *world
	client *http.Client
}

func newEnrol(w *world) enrol { return enrol{w, transport.NewClient(linking)} }

// each does something for every customer, with a code of Login with Amazon.
func (e enrol) each(ctx context.Context, customers int, do func(ctx context.Context, i int, code string) error) error {
	defer e.client.CloseIdleConnections()
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(linking)
	for i := range customers {
		all.Go(func() error {
			code, err := e.code(ctx, i)
			if err != nil {
				return err
			}
			return do(ctx, i, code)
		})
	}
	return all.Wait()
}

// code is what Alexa sends in AcceptGrant for customer i.
func (e enrol) code(ctx context.Context, i int) (string, error) {
	var answer struct{ Code string }
	body := fmt.Sprintf(`{"region":%q,"user":"amzn-%d"}`, region, i)
	if err := e.post(ctx, e.world.ControlURL+"/codes", "application/json", body, &answer); err != nil {
		return "", fmt.Errorf("a code: %w", err)
	}
	return answer.Code, nil
}

// link sends AcceptGrant directives to Gatepost.
func (e enrol) link(ctx context.Context, url string, customers int) error {
	return e.each(ctx, customers, func(ctx context.Context, i int, code string) error {
		var answer struct {
			Event struct{ Header struct{ Name string } }
		}
		if err := e.post(ctx, url, "application/json", directive(i, code), &answer); err != nil {
			return fmt.Errorf("AcceptGrant: %w", err)
		}
		if answer.Event.Header.Name != "AcceptGrant.Response" {
			return fmt.Errorf("AcceptGrant was answered with %s", answer.Event.Header.Name)
		}
		return nil
	})
}

// directive is Alexa.Authorization.AcceptGrant of customer i.
func directive(i int, code string) string {
	return fmt.Sprintf(`{"directive":{"header":{"namespace":"Alexa.Authorization","name":"AcceptGrant","messageId":"00000000-0000-4000-8000-000000000000","payloadVersion":"3"},`+
		`"payload":{"grant":{"type":"OAuth2.AuthorizationCode","code":%q},"grantee":{"type":"BearerToken","token":"grantee-%s"}}}}`, code, userID(i))
}

// tokens exchanges codes for access tokens, which the senders that others
// would write have in memory.
func (e enrol) tokens(ctx context.Context, customers int) ([]string, error) {
	tokens := make([]string, customers)
	err := e.each(ctx, customers, func(ctx context.Context, i int, code string) error {
		form := clientForm("authorization_code")
		form.Set("code", code)
		var answer struct {
			AccessToken string `json:"access_token"`
		}
		if err := e.post(ctx, e.world.LoginURL, formType, form.Encode(), &answer); err != nil {
			return fmt.Errorf("exchange a code: %w", err)
		}
		tokens[i] = answer.AccessToken
		return nil
	})
	return tokens, err
}

// post makes a request that must be answered with 200 and JSON.
func (e enrol) post(ctx context.Context, url, contentType, body string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", contentType)
	response, err := e.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var text bytes.Buffer
	if _, err := io.Copy(&text, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %d", response.StatusCode)
	}
	return json.Unmarshal(text.Bytes(), answer)
}
