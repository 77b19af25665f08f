// Package simulator plays Login with Amazon and the three Alexa event gateways,
// so that everything Gatepost does towards Amazon can be tested without it.
//
// A [Simulator] is one [http.Handler]. It issues tokens for the codes it is
// asked to make, rotates and revokes them, takes events, and refuses what the
// real services are known to refuse, in their words: the status, the JSON and
// the descriptions are Amazon's. What it was sent is on record, without the
// secrets. Any request can be made to fail by a [Fault].
//
// [Start] gives it ports of its own. The same server runs by itself with
// go run ./scripts/simulator, and is driven over HTTP through the control
// interface under /simulator/, which the README beside this file describes.
//
// # Strictness
//
// The rules are those of Amazon's pages and message schema, and of answers
// that were seen. In doubt the simulator is strict: field names it does not know,
// a time with six digits of fraction, a scope in the wrong place, a form sent as
// JSON are refused. Kinds of event it has never heard of are taken, since Alexa
// adds some every year. What it cannot know, it does not check: whether
// discovery declared the endpoint, and whether a value suits its property.
//
// [Request].Reason tells in plain words why something was refused. The answer
// itself never does, because Amazon's does not.
//
// # Limits
//
// Memory is bounded but for the enablements, which are kept for ever, a few
// hundred bytes each: tokens carry what they stand for, the record holds at
// most Options.KeepRequests requests and 64 MiB of bodies, and State is limited
// for each customer. Nothing survives the process, tokens included.
//
// Faults that close a connection panic with [http.ErrAbortHandler], as net/http
// wants it; they need a real server and not an httptest.ResponseRecorder.
//
// Tokens, codes and secrets of the simulator open nothing. It has no
// authentication of its own and belongs on the loopback interface.
package simulator
