// Command local runs all of Gatepost on this machine, with nothing installed
// but Go and nothing reached outside:
//
//	go run ./scripts/local
//
// It starts the functions, as the Functions Framework serves them; a Pub/Sub
// and a store in memory; the simulator for Login with Amazon and the three
// event gateways; and a piece that plays the maker's cloud: it publishes device
// events and listens to what Gatepost says about grants. Then it links a
// customer, refreshes the token, sends a ChangeReport, shows how each went, and
// prints commands to go on with. It ends on an interrupt or SIGTERM: what is in
// flight is finished or handed back to Pub/Sub.
//
//	-once    ends after the demonstration, with status 0 only if the event was
//	         accepted at the gateway of the customer's region
//	-refuse  makes the gateways refuse every event
//	-logs    shows what the functions log, on standard error
//	-h       lists all flags
//
// Pub/Sub in memory is the fake server of Google's client library. It does not
// push; package pump does. With PUBSUB_EMULATOR_HOST or FIRESTORE_EMULATOR_HOST
// set, the emulator there is used instead, and so are the data in it. The key
// that seals tokens in the emulator is kept in the user's cache directory.
//
// The ports are fixed, so that a command works again tomorrow, and others are
// used where they are taken. Everything listens on the loopback interface,
// because nothing here asks for a password. A port that belongs to somebody
// else by the time it is listened on, or a server that fails later, ends the
// program with status 1.
package main
