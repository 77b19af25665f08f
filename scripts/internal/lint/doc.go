// Package lint is the command gatepost lint: it finds everything that Alexa would
// refuse in device events and discovery answers before they are published.
//
// It reads device events, as published to the device-events topic, and Discover.Response
// and AddOrUpdateReport, as sent to Alexa, from files or from standard input. README.md
// beside this file shows the output.
//
// It checks events against the rules of package alexa, as SendEvent does, and
// discoveries also against the rules of Alexa's pages. It continues after a fault where
// possible, and compares hourly and daily reports with the previous one in the file. It
// does not know the customer's grant or the configured values of a capability. It never
// shows a value, which might be a token.
package lint
