// Package host stands between the Functions Framework and a function.
//
// The framework serves HTTP and nothing else: it does not drain on SIGTERM,
// bound bodies, set time-outs, or keep a panic's text to itself. A function
// wrapped by [Host.Wrap] is handed a request whose body has been read whole,
// within a size and a time; it works under a deadline shorter than the
// platform's; it writes one log line; and when it panics the caller gets a
// plain 500 and the log the stack.
//
// [Host.Drain] ends the process as a platform that is about to kill it wants
// it: no new work, what is in flight finished or handed back, then exit.
//
// What the package cannot do is to bound the time a client takes for the
// request's headers: the framework owns the server. Google's front end does
// that where it matters.
package host
