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

var errNoRole = errors.New("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set: this is not a Lambda, or it has no role")

// role supplies the credentials of the Lambda's role to the library.
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

// recorder is a transport that records why an exchange failed. The library's own error
// is a text that quotes the service's whole answer: it is not safe to log, and has no
// kinds.
type recorder struct {
	next    http.RoundTripper
	failed  error
	refused *RefusedError
}

// RoundTrip implements [http.RoundTripper].
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	if err != nil {
		r.failed = err
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		r.failed = err
		return nil, err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		r.refused = refused(resp.StatusCode, body)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// cause returns why the exchange failed. err is the library's error.
func (r *recorder) cause(ctx context.Context, err error) error {
	switch {
	case r.refused != nil:
		return r.refused
	case r.failed != nil:
		return transport.Cause(ctx, r.failed)
	case errors.Is(err, errNoRole):
		return errNoRole
	}
	return transport.Cause(ctx, err)
}
