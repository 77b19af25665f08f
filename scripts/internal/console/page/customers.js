// Customers: their grants, what Alexa believes, and what may befall them.
import {$, api, clock, fill, h, run, status, until} from "./lib.js";

const tones = {active: "good", suspect: "odd", revoked: "bad"};

export async function load() {
  const {customers, more} = await api("GET", "customers");
  fill($("customers"),
    h("div", {class: "bar"}, h("span", {class: "hint"}, `${customers.length}${more ? "+" : ""} linked`), h("span", {class: "space"}),
      h("button", {"data-key": "sweep", onclick: run(() => api("POST", "sweep"), "Sweep started: tokens that are due are refreshed")}, "Sweep now")),
    customers.length ? customers.map(card) : h("p", {class: "empty"}, "No customer has linked yet. Link one in ", h("a", {href: "#try"}, "Try"), "."));
}

function card(customer) {
  return h("article", {class: "card"},
    h("header", {}, h("h2", {}, customer.userId), h("code", {class: "hint", title: "in logs"}, customer.hash), h("span", {class: "space"}), erase(customer)),
    customer.grants.map(grant => link(customer, grant)));
}

function link(customer, grant) {
  const act = (what, region = grant.region) => run(async () => {
    await api("POST", "customers", {do: what, userId: customer.userId, region, amazonUser: grant.amazonUser || ""});
    await load();
  }, `${customer.userId}: done`);
  const button = (what, label, help) => h("button", {
    "data-key": grant.id + what, title: help, disabled: !grant.amazonUser, onclick: act(what),
  }, label);
  const fact = (name, value) => value && h("div", {}, h("dt", {}, name), h("dd", {}, value));
  const moment = text => text && h("time", {dateTime: text, title: clock(text)}, until(text));
  const others = ["NA", "EU", "FE"].filter(region => region !== grant.region);
  return h("div", {class: "grant"},
    h("p", {}, status(tones[grant.state], grant.state), h("b", {}, grant.region), h("span", {}, grant.amazonUser || "unknown account"),
      grant.reason && h("span", {class: "bad"}, grant.reason), h("code", {class: "hint"}, grant.id.slice(0, 8))),
    h("dl", {}, fact("token expires", moment(grant.expiresAt)), fact("next refresh", new Date(grant.refreshDue) < Date.now() ? "due" : moment(grant.refreshDue)), fact("next try", moment(grant.nextTry)),
      fact("refreshes", String(grant.refreshes)), fact("failures", grant.failures > 0 && String(grant.failures)), fact("to be erased", moment(grant.eraseAt)),
      grant.behind && fact("behind", [grant.behind.all ? "all endpoints" : grant.behind.endpoints.join(", ") || "discovery", ", asked for ", moment(grant.behind.due)])),
    Object.keys(grant.alexa).length > 0 && h("details", {"data-key": grant.id},
      h("summary", {"data-key": grant.id + "alexa"}, `What Alexa believes of ${Object.keys(grant.alexa).length} endpoint(s)`),
      h("table", {}, h("tbody", {}, Object.entries(grant.alexa).flatMap(([endpoint, properties]) => properties.map((p, i) => h("tr", {},
        h("th", {scope: "row"}, i ? "" : endpoint), h("td", {}, [p.name, p.instance].filter(Boolean).join(" ")),
        h("td", {}, h("code", {}, typeof p.value === "string" ? p.value : JSON.stringify(p.value))), h("td", {class: "hint"}, clock(p.timeOfSample)))))))),
    h("div", {class: "actions"},
      button("expire", "Expire token", "The gateway answers 401 until the token is refreshed"),
      button("disable", "Disable skill", "As the customer does in the Alexa app"),
      button("relink", "Relink", "The same Amazon account links again"),
      button("account", "Another account", "Another Amazon account links to the same customer"),
      others.map(region => h("button", {
        "data-key": grant.id + region, title: `Disable here, and link in ${region}`, disabled: !grant.amazonUser, onclick: act("move", region),
      }, "Move to " + region))));
}

// erase has to be opened first. It stays open when the section is loaded again.
const erase = ({userId}) => h("details", {"data-key": "erase" + userId, class: "erase"},
  h("summary", {"data-key": "erasing" + userId}, "Erase"),
  h("button", {class: "danger", "data-key": "erased" + userId, onclick: run(async () => {
    await api("POST", "customers", {do: "erase", userId});
    await load();
  }, `${userId}: erased`)}, "Erase for good"));
