// Command keyset creates, rotates and shows the keyset that seals tokens at rest,
// TOKEN_KEYSET of the functions.
//
//	go run ./scripts/keyset create REF
//	go run ./scripts/keyset rotate REF
//	go run ./scripts/keyset show   REF
//	go run ./scripts/keyset remove REF KEYID
//
// REF is file:PATH or projects/P/secrets/S. README.md beside this file explains how to
// rotate, and the effects.
//
// The program writes a keyset atomically, and reads it back. It shows only the id,
// status and type of a key. It refuses to overwrite a keyset with create, and to remove
// the primary key. It does not know whether values are still sealed with a key;
// scripts/grants reseal does.
//
// The exit status is 0 for success, 1 for a failure, and 2 for a command line that can
// never succeed. A failure changes nothing, unless the error says that the keyset was
// written, or Secret Manager's answer was lost. The command show tells.
package main
