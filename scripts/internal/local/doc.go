// Package local is the command gatepost local: it runs all of Gatepost on this machine.
// It needs only Go, and makes no connection to other machines:
//
//	go run ./scripts/gatepost local
//
// It starts the functions with the Functions Framework, a Pub/Sub and a store in
// memory, the simulator of Login with Amazon and the three event gateways, and a fake of
// the maker's cloud, which publishes device events and receives grant events. Then it
// links a customer, refreshes the token, sends a ChangeReport, shows each result, and
// prints commands to try. On an interrupt or SIGTERM it drains: events in flight are
// finished or returned to Pub/Sub.
//
//	--once    ends after the demonstration, with status 0 only if the event was
//	          accepted at the gateway of the customer's region
//	--refuse  makes the gateways refuse every event
//	--logs    shows the functions' logs on standard error
//	--help    lists all flags
//
// The Pub/Sub in memory is the fake server of Google's client library. It does not
// push; package pump does. If PUBSUB_EMULATOR_HOST or FIRESTORE_EMULATOR_HOST is set,
// the program uses that emulator and its data instead. The user's cache directory keeps
// the key that seals tokens in the emulator.
//
// The default ports are fixed, so that commands work again in the next run. If a port is
// taken, another is used. Everything listens on the loopback interface, because nothing
// here has authentication. If a port is taken between the check and the listening, or if
// a server fails later, the program ends with status 1.
package local
