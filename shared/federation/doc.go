// Package federation gets Google ID tokens for an AWS Lambda, which calls functions on
// Google Cloud with them. There is no key to store and rotate.
//
// The Lambda's AWS role proves its identity. A [Client] signs a request to AWS's
// GetCallerIdentity without sending it. Google's Security Token Service sends it to
// AWS, and issues a federated access token. The IAM Credentials API accepts that token,
// and issues an ID token of a service account for one audience. These are two round
// trips, which are retried once after a transient fault; see
// https://cloud.google.com/iam/docs/workload-identity-federation-with-other-clouds.
//
// [Tokens] caches ID tokens until shortly before they expire:
//
//	tokens := federation.NewTokens(client.IDToken, time.Now)
//	use, err := tokens.Use(ctx, "https://accept-grant-….run.app")
//	request.Header.Set("Authorization", "Bearer "+use.Token.Reveal())
//	…
//	renewed, err := use.Wait() // before answering: Lambda freezes the process afterwards
//
// The package does nothing in the background: the caller waits for a renewal that runs
// in parallel with its request. A refusal by a service is a [RefusedError]; other errors
// wrap the network's. No error quotes a token or a service's text.
package federation
