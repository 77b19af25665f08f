// Command skillproxy is the AWS Lambda that Alexa calls, one in each AWS region that
// the skill is offered from. It forwards messages, and returns the answers, unchanged.
//
//   - Directives of Alexa.Authorization go to the function AcceptGrant.
//   - Skill events (requests AlexaSkillEvent.*) go to the function SkillEvent;
//     without one they are acknowledged and logged.
//   - Everything else goes to the maker's own handler of directives. Without one the
//     proxy answers INVALID_DIRECTIVE.
//
// The proxy adds two headers to the request: X-Alexa-Region, because a directive
// does not name its region, and an ID token that authenticates the proxy to Google
// (see package federation).
//
// Alexa waits eight seconds. If the target fails, hangs or returns no answer in Alexa's
// form, the proxy answers by itself within seven: ACCEPT_GRANT_FAILED for AcceptGrant,
// and for other directives BRIDGE_UNREACHABLE if there was no answer and INTERNAL_ERROR
// if there was one. A skill event that was not accepted fails the invocation, so that
// Lambda retries it. One that is refused for its content would be refused again; the
// proxy logs it and drops it.
//
// The proxy does not store or change a message, and logs its contents only if the
// directive reports a fault of an event. It sends a directive once, with two
// exceptions. After a 401 to an ID token that was not new, it sends the directive
// again with a new token, because Cloud Run answers 401 before the target sees it. It
// sends AcceptGrant a second time after no answer, 429, 502 or 503, because
// AcceptGrant is idempotent: the same code is the same grant.
package main
