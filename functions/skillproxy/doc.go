// Command skillproxy is the AWS Lambda that Alexa calls: one in each AWS region
// that the skill is offered from. It passes bytes on and bytes back.
//
//   - Directives of Alexa.Authorization go to the function AcceptGrant.
//   - Skill events (requests AlexaSkillEvent.*) go to the function SkillEvent;
//     without one they are acknowledged and logged.
//   - Everything else goes to the maker's own handler of directives. Without
//     one it is answered with INVALID_DIRECTIVE.
//
// To the request it adds X-Alexa-Region, since nothing in a directive says
// which region it is from, and an ID token that proves to Google who calls, see
// package federation.
//
// Alexa waits eight seconds. When what is behind fails, hangs or sends no
// answer of Alexa's form, the proxy answers by itself within seven:
// ACCEPT_GRANT_FAILED for AcceptGrant; else BRIDGE_UNREACHABLE when nobody
// answered, and INTERNAL_ERROR when somebody did. A skill event that was not
// taken is an error of the invocation, so that it can be delivered again; one
// that was refused for what it is would be refused again, and is logged.
//
// It never logs, keeps or changes what a message holds, and it never sends a
// directive twice, with two exceptions: after a 401 to an ID token that was not
// new, which says that nobody has seen the directive; and AcceptGrant once,
// after no answer, 429, 502 or 503, because the same code is the same grant
// however often it comes.
package main
