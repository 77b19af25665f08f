// Command lint finds faults in device events and discovery answers before they are
// published: everything that Alexa would refuse.
//
//	go run ./scripts/lint events.json
//	go run ./scripts/lint -discovery discovery.json events.json
//
// The program reads device events, as published to the device-events topic, and
// Discover.Response and AddOrUpdateReport, as sent to Alexa, from files or from standard
// input. README.md beside this file shows the output, and lists the flags.
//
// It checks events with the rules of package alexa, which SendEvent uses too, and
// discoveries also with the rules of Alexa's pages. It continues after a fault where
// possible, and compares hourly and daily reports with the previous one in the file. It
// does not know the customer's grant or the configured values of a capability. It never
// shows a value, which might be a token.
//
// The exit status is 1 if something would be refused, and 2 if the command line is
// wrong or a file cannot be read. A JSON syntax error is a fault of the file, after
// which the rest of the file is not read.
package main
