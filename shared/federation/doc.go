// Package federation gives an AWS Lambda Google ID tokens, with which it may
// call functions on Google Cloud, without a key that somebody would have to
// store and rotate.
//
// The Lambda's own AWS role is the proof of who it is. A [Client] signs a
// request to AWS's GetCallerIdentity, which it does not send; Google's Security
// Token Service has it answered by AWS and gives a federated access token for
// it, and with that the IAM Credentials API makes an ID token of a service
// account for one audience. That is two round trips, and one more after a fault
// that may pass; see
// https://cloud.google.com/iam/docs/workload-identity-federation-with-other-clouds.
//
// [Tokens] keeps ID tokens until shortly before they expire:
//
//	tokens := federation.NewTokens(client.IDToken, time.Now)
//	use, err := tokens.Use(ctx, "https://accept-grant-….run.app")
//	request.Header.Set("Authorization", "Bearer "+use.Token.Reveal())
//	…
//	renewed, err := use.Wait() // before answering: Lambda freezes the process afterwards
//
// It refuses to do anything in the background: a renewal that goes on side by
// side with a request is waited for. A service that says no is a
// [RefusedError]; other errors tell what the network said. No error holds a
// token or what a service wrote.
package federation
