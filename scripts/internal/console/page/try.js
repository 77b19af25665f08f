// Try: link a customer, the worked examples, and one's own event with the checks of lint.
import {$, api, h, json, options, run, soon, status, toast} from "./lib.js";

const text = $("event"), own = $("own"), findings = $("findings"), as = $("as");
let begun = false;

const first = user => JSON.stringify({
  userId: user, endpointId: "lamp-1", cause: "PHYSICAL_INTERACTION",
  changed: [{namespace: "Alexa.PowerController", name: "powerState", value: "ON"}],
  unchanged: [{namespace: "Alexa.EndpointHealth", name: "connectivity", value: {value: "OK"}}],
}, null, 2);

export async function load() {
  await customers();
  if (begun) return;
  begun = true;
  if (!text.value) text.value = first(as.value || "u-1");
  check();
  const {examples} = await api("GET", "examples");
  $("examples").replaceChildren(...examples.map(({name, event}) => h("li", {},
    h("button", {class: "plain", title: "Copy into the form", onclick: () => edit(json(forCustomer(event)), "", "")}, name.replace(/^Alexa\./, "")),
    h("button", {"aria-label": `Send ${name}`, onclick: run(() => send(forCustomer(event), {}))}, "Send"))));
}

async function customers() {
  const {customers} = await api("GET", "customers");
  options(as, customers.length ? customers.map(c => c.userId) : ["u-1"]);
}

const forCustomer = event => ({...event, userId: as.value});

async function send(event, attributes) {
  const {id} = await api("POST", "events", typeof event === "string" ? {text: event, attributes} : {event, attributes});
  toast(`Published as ${id}. `);
  $("toast").append(h("a", {href: "#events/" + id}, "See its story"));
}

// edit puts an event into the form.
export function edit(event, region, eventId) {
  text.value = event;
  own.elements.region.value = region || "";
  own.elements.eventId.value = eventId || "";
  location.hash = "#try";
  $("try").hidden = false; // the others are hidden when the hash has changed
  check();
  text.focus();
  text.setSelectionRange(0, 0);
}

let checks = 0;
async function check() {
  const mine = ++checks;
  let found = [];
  if (!text.value.trim()) found = [{severity: "error", problem: "empty"}];
  else try { found = (await api("POST", "lint", text.value)).findings; } catch { return; }
  if (mine !== checks) return; // typed on meanwhile
  findings.replaceChildren(...found.length ? found.map(f => h("li", {},
    status(f.severity === "error" ? "bad" : "odd", f.severity), f.line && h("button", {type: "button", class: "plain", onclick: () => go(f.line)}, "line " + f.line),
    h("span", {}, f.path && h("code", {}, f.path), " " + f.problem))) : [h("li", {}, status("good", "no findings"))]);
  text.setAttribute("aria-invalid", found.some(f => f.severity === "error"));
}

function go(line) {
  const lines = text.value.split("\n"), at = lines.slice(0, line - 1).join("\n").length + (line > 1);
  text.focus();
  text.setSelectionRange(at, at + lines[line - 1].length);
}

text.addEventListener("input", soon(check, 200));
text.addEventListener("keydown", event => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) own.requestSubmit(); });
own.addEventListener("submit", run(() => {
  const attributes = {};
  for (const name of ["region", "eventId"]) if (own.elements[name].value) attributes[name] = own.elements[name].value;
  return send(text.value, attributes);
}));
$("link").addEventListener("submit", run(async () => {
  const {userId, region} = Object.fromEntries(new FormData($("link")));
  await api("POST", "customers", {do: "link", userId, region});
  await customers();
  as.value = userId;
  toast(`${userId} has linked in ${region}`);
}));
