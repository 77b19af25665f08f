// Package grantee resolves a grantee token to a customer.
//
// AcceptGrant carries an OAuth access token of the maker's (grantee.token), which Alexa
// got when the customer linked the account. The token proves nothing until the maker's
// identity provider vouches for it. A [Resolver] verifies it in one of three ways:
//
//   - userinfo:URL calls OpenID Connect's UserInfo endpoint (OpenID Connect
//     Core 1.0, section 5.3), or any "who am I" address that takes a bearer
//     token and returns a JSON object. It does not support signed answers
//     (application/jwt).
//   - introspection:URL calls an introspection endpoint (RFC 7662) with this
//     client's own credentials.
//   - jwt:ISSUER verifies a signed token here, with the keys that the issuer
//     publishes (found by OpenID Connect Discovery 1.0, or at [Options.JWKS]). It
//     accepts asymmetric algorithms only, and skips keys that it cannot read.
//     Configure an audience if the issuer signs tokens for other APIs too: without
//     one, those are accepted as well; with one, a token without "aud" is refused.
//     A revoked token is accepted until it expires; use another method if that
//     matters.
//
// The customer is one claim of the answer, "sub" by default. A claim of exactly the
// configured name comes first; if there is none, and the name has dots, it is a path
// into nested objects: "data.id" is the member id of the object data. The claim must be
// a string, or an integer, whose digits are the id. It is refused if it is empty,
// longer than [MaxUserID] bytes, not valid Unicode, or has control characters.
//
// # What it caches
//
// Verdicts are never cached: AcceptGrant is rare, and a token that was revoked a second
// ago must be refused.
//
// For jwt, the keys are cached until a token is signed with a key that is not among
// them. The discovery document is cached for an hour; it is fetched earlier, at most
// once a minute, if the key set that it points to lacks the key of a token. If a fetch
// fails, the cached document stays in use, and the fetch is retried after a minute.
// Without a cached document the next call retries.
//
// # How it fails
//
// A provider that fails within a second is called once more, before the same deadline.
// Every failed call returns an [*Error] that is exactly one of [ErrRejected],
// [ErrNoCustomer] and [ErrUnavailable]. No error holds the token, the client secret, or
// any part of an answer's body.
//
// The package follows no redirects, reads no more than 64 KiB of an answer, uses http
// to loopback only, and takes no longer than [Options.Timeout].
package grantee
