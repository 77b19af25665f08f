// Package keyset is the command gatepost keyset: it creates, rotates and shows the
// keyset that seals tokens at rest, TOKEN_KEYSET of the functions. README.md beside this
// file explains how to rotate, and the effects.
//
// It writes a keyset atomically, and reads it back. It shows only the id, status and
// type of a key. Its create refuses to overwrite a keyset, and its remove refuses to
// remove the primary key. It does not know whether values are still sealed with a key;
// gatepost grants reseal does.
//
// A failure changes nothing, unless the error says that the keyset was written, or
// Secret Manager's answer was lost: then gatepost keyset show tells.
package keyset
