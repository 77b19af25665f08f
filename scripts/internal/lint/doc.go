// Package lint is the command gatepost lint: it finds faults in device events and
// discovery answers before they are published, everything that Alexa would refuse.
//
// It reads device events, as published to the device-events topic, and Discover.Response
// and AddOrUpdateReport, as sent to Alexa, from files or from standard input. README.md
// beside this file shows the output.
//
// It checks events with the rules of package alexa, which SendEvent uses too, and
// discoveries also with the rules of Alexa's pages. It continues after a fault where
// possible, and compares hourly and daily reports with the previous one in the file. It
// does not know the customer's grant or the configured values of a capability. It never
// shows a value, which might be a token.
package lint
