// Package federationtest implements Google's Security Token Service and IAM
// Credentials API for tests of programs on AWS that need an ID token.
//
// It checks as strictly as they do: the GetCallerIdentity request must be complete,
// fresh and signed with the role's secret, and the access token and the service
// account must match. Its tokens look like JWTs and have no valid signature; a
// test's server checks them with [Google.Accepts].
package federationtest
