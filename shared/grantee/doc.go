// Package grantee turns a grantee token into a customer.
//
// AcceptGrant brings the maker's own OAuth access token (grantee.token), which
// Alexa got when the customer linked the account. The token is only a claim
// until the maker's identity provider has vouched for it, so a [Resolver] asks
// that provider, in one of three ways:
//
//   - userinfo:URL calls OpenID Connect's UserInfo endpoint (OpenID Connect
//     Core 1.0, section 5.3), or any "who am I" address that takes a bearer
//     token and answers with a JSON object. A signed answer (application/jwt)
//     is not understood.
//   - introspection:URL calls an introspection endpoint (RFC 7662), with this
//     client's own credentials.
//   - jwt:ISSUER verifies a signed token here, with the keys that the issuer
//     publishes (OpenID Connect Discovery 1.0, unless [Options.JWKS] says where
//     they are). Any algorithm will do that only the issuer can sign with. A key
//     that cannot be read is skipped. Configure an audience where the
//     issuer signs tokens for other APIs too: without one, those would be taken
//     as well; with one, a token that has no "aud" is refused. A revoked token
//     passes until it expires; makers who mind use one of the other two.
//
// The customer is one claim of the answer, "sub" if nothing else is
// configured. The name is looked up literally first; only if there is no such
// claim, and the name has dots, it is a path into nested objects: "data.id" is
// the member id of the object data. A claim must be a text, or an integer,
// which is taken digit by digit. It is refused when it is empty, longer than
// [MaxUserID] bytes, not valid Unicode, or has control characters.
//
// # What it keeps
//
// Verdicts are never kept: AcceptGrant is rare, and a token that was revoked a
// second ago must not be vouched for.
//
// For jwt, the keys are kept until a token is signed with one that is not among
// them. The discovery document is kept for an hour; it is fetched earlier, once a
// minute at most, when such a key cannot be found where the document says. While
// the document cannot be fetched, the last one stays in use, and the fetch is
// repeated after a minute. If there is no last one, the next call tries again.
//
// # How it fails
//
// A provider that fails within a second is asked once more, in the same time.
// Every failed call returns an [*Error] that is exactly one of [ErrRejected],
// [ErrNoCustomer] and [ErrUnavailable]. No error holds the token, the client
// secret, or anything of an answer's body.
//
// The package refuses to follow redirects, to read more than 64 KiB of an
// answer, to talk http to anything but this machine, and to take longer than
// [Options.Timeout].
package grantee
