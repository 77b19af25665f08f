package federation

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"golang.org/x/oauth2/google/externalaccount"

	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/transport"
)

var errNoRole = errors.New("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set: this is no Lambda, or it has no role")

// role gives the library the credentials of the Lambda's role.
type role struct {
	region string
	env    config.Env
}

// AwsRegion implements [externalaccount.AwsSecurityCredentialsSupplier].
func (r role) AwsRegion(context.Context, externalaccount.SupplierOptions) (string, error) {
	return r.region, nil
}

// AwsSecurityCredentials implements [externalaccount.AwsSecurityCredentialsSupplier].
// The variables are those of
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime.
func (r role) AwsSecurityCredentials(context.Context, externalaccount.SupplierOptions) (*externalaccount.AwsSecurityCredentials, error) {
	id, secret := r.env["AWS_ACCESS_KEY_ID"], r.env["AWS_SECRET_ACCESS_KEY"]
	if id == "" || secret == "" {
		return nil, errNoRole
	}
	return &externalaccount.AwsSecurityCredentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: r.env["AWS_SESSION_TOKEN"]}, nil
}

// witness remembers how an exchange went wrong. The library's own error is a
// text with the service's whole answer in it, which is neither fit for a log
// nor to be told apart.
type witness struct {
	next    http.RoundTripper
	failed  error
	refused *RefusedError
}

// RoundTrip implements [http.RoundTripper].
func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(r)
	if err != nil {
		w.failed = err
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		w.failed = err
		return nil, err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		w.refused = refused(resp.StatusCode, body)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// why says why the exchange failed, err being what the library makes of it.
func (w *witness) why(ctx context.Context, err error) error {
	switch {
	case w.refused != nil:
		return w.refused
	case w.failed != nil:
		return transport.Cause(ctx, w.failed)
	case errors.Is(err, errNoRole):
		return errNoRole
	}
	return transport.Cause(ctx, err)
}
