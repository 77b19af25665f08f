// Package secret reads the secret that a reference names, and writes secrets for
// operators.
//
// A reference is configuration and may be shown; the secret may not. There are three
// kinds:
//
//   - projects/P/secrets/S or projects/P/secrets/S/versions/V is a version of a secret
//     in Google Secret Manager, "latest" if none is given.
//   - file:PATH is a file of at most 64 KiB, without a final line end.
//   - env:NAME is an environment variable.
//
// [ParseRef] accepts nothing else. Its errors never show its argument, which may be
// the secret itself, pasted in the wrong place.
//
// A [Reader] caches no secret. Each Read goes to the source, so that a rotated secret
// needs no deployment; the caller decides when to read again. A caller whose value is
// stale uses [Reader.Newest].
//
// A [Writer] creates or replaces a secret, and reads back the value it wrote. It
// refuses to write variables and versions, and to create a secret that exists. It
// reports concurrent writes.
//
// Errors name the reference and the fault, never a value. An empty secret is an error,
// as is a payload of Secret Manager that does not match its checksum. [ErrNotFound] and
// [ErrDenied] mean that the configuration is wrong; any other error of Secret Manager
// may be transient.
package secret
