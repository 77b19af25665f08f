// Command lint finds in device events and discovery answers what Alexa would
// refuse, before they are published.
//
//	go run ./scripts/lint events.json
//	go run ./scripts/lint -discovery discovery.json events.json
//
// It reads device events, as they are published to the device-events topic, and
// Discover.Response and AddOrUpdateReport as Alexa gets them, from files or from
// standard input. README.md beside this file shows what it writes, and lists the
// flags.
//
// Events are held against the rules by which SendEvent takes or refuses them,
// those of package alexa; discoveries against Alexa's pages besides. It reads
// on after a fault, as far as what follows can be understood, and holds what Alexa
// wants hourly or daily against the report before it in the file. It knows nothing
// of the customer's grant and the values that a capability was configured with,
// and it never shows a value, which might be a token.
//
// It fails with status 1 when something would be refused, and with status 2 when
// the command line is wrong or a file cannot be read. What is no JSON is a
// fault of the file like any other, behind which the rest of it is not read.
package main
