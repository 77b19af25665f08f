// Forwards Gatepost's messages from your own skill Lambda. In your handler:
//   const answer = await forward(event); if (answer !== undefined) return answer;
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { ExternalAccountClient, Impersonated } from "google-auth-library";
const { ACCEPT_GRANT_URL, SKILL_EVENT_URL, GOOGLE_SERVICE_ACCOUNT, GOOGLE_APPLICATION_CREDENTIALS, AWS_REGION } = process.env;
const region = { "us-east-1": "NA", "eu-west-1": "EU", "us-west-2": "FE" }[AWS_REGION];
const tokens = new Map(); // by URL, for as long as this instance lives

async function idToken(url) {
  const known = tokens.get(url);
  if (known?.until > Date.now()) return known.token;
  const sourceClient = ExternalAccountClient.fromJSON(JSON.parse(readFileSync(GOOGLE_APPLICATION_CREDENTIALS)));
  const account = new Impersonated({ sourceClient, targetPrincipal: GOOGLE_SERVICE_ACCOUNT });
  const token = await account.fetchIdToken(new URL(url).origin, { includeEmail: true });
  tokens.set(url, { token, until: Date.now() + 50 * 60_000 }); // it lives an hour
  return token;
}

async function send(url, event) {
  const headers = { "Content-Type": "application/json", "X-Alexa-Region": region, Authorization: `Bearer ${await idToken(url)}` };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(event), signal: AbortSignal.timeout(6500) });
  if (answer.status === 401) tokens.delete(url);
  if (!answer.ok) throw Object.assign(new Error(), { name: `Status${answer.status}` });
  return answer.json();
}

const post = (url, event) => new Promise((yes, no) => { // Alexa waits eight seconds, also while the token is fetched
  const timer = setTimeout(no, 6500, new Error("no answer in time"));
  send(url, event).then(yes, no).finally(() => clearTimeout(timer));
});

export async function forward(event) {
  if (event.request?.type?.startsWith("AlexaSkillEvent.")) return post(SKILL_EVENT_URL, event);
  if (event.directive?.header?.namespace !== "Alexa.Authorization") return undefined;
  const answer = await post(ACCEPT_GRANT_URL, event).catch((why) => console.error("AcceptGrant:", why.name));
  const header = { namespace: "Alexa.Authorization", name: "ErrorResponse", messageId: randomUUID(), payloadVersion: "3" };
  return answer?.event ? answer : { event: { header, payload: { type: "ACCEPT_GRANT_FAILED", message: "the grant could not be accepted" } } };
}
