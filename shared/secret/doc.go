// Package secret reads the secret that a reference names, and writes it for
// operators.
//
// A reference is configuration and may be shown; the secret may not. There are
// three kinds:
//
//   - projects/P/secrets/S or projects/P/secrets/S/versions/V is a version of
//     a secret in Google Secret Manager, "latest" if none is given.
//   - file:PATH is a file of at most 64 KiB, less one line end at its end.
//   - env:NAME is an environment variable.
//
// [ParseRef] takes nothing else, and its errors never show what it was given:
// it may be the secret itself, pasted in the wrong place.
//
// A [Reader] keeps no secret. Each Read goes to the source, so that a rotated
// secret needs no deployment; when to read again is the caller's to decide. Who
// reads because what he has is too old takes [Reader.Newest].
//
// A [Writer] makes a secret or replaces it, and reads back what it wrote. It
// refuses variables, versions, and to make what is there. It does not hide that
// somebody else was writing at the same time.
//
// Errors name the reference and what is wrong, never a value. An empty secret
// is an error, as is a payload of Secret Manager that does not match its
// checksum. [ErrNotFound] and [ErrDenied] mean that somebody has to mend the
// configuration; any other error of Secret Manager may pass.
package secret
