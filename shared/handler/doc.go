// Package handler wraps a function for the Functions Framework.
//
// The framework only serves HTTP: it does not drain on SIGTERM, limit bodies, set
// timeouts, or hide a panic's text from the caller. [Group.Wrap] reads the whole body,
// within limits of size and time, before it calls the function, sets a deadline
// shorter than the platform's, and writes one log line per request. After a panic the
// caller gets a plain 500, and the stack is logged.
//
// [Group.Drain] shuts the process down before the platform kills it: it refuses new
// requests, waits for those in flight, and ends the contexts of those that take too
// long.
//
// The package cannot limit how long a client takes to send the request's headers: the
// framework owns the server. Google's front end does that.
package handler
