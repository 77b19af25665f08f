// Package simulator simulates Login with Amazon and the three Alexa event gateways, to
// test Gatepost's calls without Amazon.
//
// A [Simulator] is one [http.Handler]. It creates codes, issues, rotates and revokes
// tokens, accepts events, and refuses the requests that the real services are known to
// refuse, with Amazon's status, JSON and descriptions. It records requests without their
// secrets. A [Fault] makes any request fail.
//
// [Start] serves it on ports of its own. go run ./scripts/gatepost simulator runs the same server
// as a program. The control interface under /simulator/ controls it over HTTP; the
// README beside this file describes it.
//
// # Strictness
//
// The rules come from Amazon's pages, its message schema, and answers that were seen. In
// doubt the simulator is strict: it refuses unknown field names, a time with six digits
// of fraction, a scope in the wrong place, and a form sent as JSON. It accepts unknown
// kinds of event, since Alexa adds some every year. It does not check whether discovery
// declared the endpoint, or whether a value suits its property.
//
// [Request].Reason is the simulator's reason for a refusal. The answer does not contain
// it, because Amazon's does not.
//
// # Limits
//
// Memory is bounded except for enablements, which are never removed and take a few
// hundred bytes each: tokens carry their own claims, the record holds at most
// Options.KeepRequests requests and 64 MiB of bodies, and State is limited for each
// customer. Nothing is persisted, tokens included.
//
// Faults that close a connection panic with [http.ErrAbortHandler], as net/http
// requires; they need a real server and not an httptest.ResponseRecorder.
//
// The simulator's tokens, codes and secrets are worthless elsewhere. It has no
// authentication of its own and belongs on the loopback interface.
package simulator
