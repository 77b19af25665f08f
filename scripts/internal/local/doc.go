// Package local is the command gatepost local: it runs all of Gatepost on this machine.
// It needs only Go, and makes no connection to other machines:
//
//	go run ./scripts/gatepost local
//
// Package oneprocess runs Gatepost. This package adds a fake of the maker's cloud, a
// demonstration, and the screen. The demonstration links a customer, refreshes the
// token, and sends a ChangeReport. Then the screen shows commands to try, and a row for
// each event, link, sweep and problem, taken from the functions' log. On an interrupt
// the program drains: events in flight are finished or returned to Pub/Sub.
//
// If PUBSUB_EMULATOR_HOST or FIRESTORE_EMULATOR_HOST is set, the program uses that
// emulator. In Firestore each run has a database of its own, because its simulator does
// not know the tokens of earlier runs. In Pub/Sub each run has subscriptions of its own,
// which are deleted at the end; only the one with the dead letters stays, so that they
// can be replayed.
//
// The default ports are fixed, so that commands work again in the next run. If a
// default port is taken, another is used, and the screen says so. If a port that a flag
// gives is taken, the program ends with status 1. Everything listens on the loopback
// interface, because nothing here has authentication; the maker's cloud also refuses
// requests that a web page makes a browser send. If a port is taken between the check
// and the listening, or if a server fails later, the program ends with status 1.
package local
