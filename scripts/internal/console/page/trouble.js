// Trouble: faults to switch on, and what Gatepost does about them.
import {$, api, fill, h, run, status, until} from "./lib.js";

const regions = ["NA", "EU", "FE"];
const breakerTones = {closed: "good", open: "bad", "half-open": "wait"};
const closed = {state: "closed"};
let share = "100", region = "EU";

// health shows the regions in the page's head.
export async function health() {
  const now = await api("GET", "trouble");
  $("health").replaceChildren(...regions.map(name => {
    const {state, room = ""} = ["gateway ", "tokens "].map(kind => now.breakers[kind + name]).find(b => b && b.state !== "closed") || closed;
    const on = now.on.some(a => a.region === name);
    return state === "closed" ? status(on ? "odd" : "good", name + (on ? " trouble" : "")) : status(breakerTones[state], `${name} ${state} ${room}`);
  }), ...now.on.some(a => a.region === "all") ? [status("odd", "Login trouble")] : [], ...now.braked ? [status("bad", "brake latched")] : []);
  return now;
}

export async function load() {
  const now = await health();
  const set = (body, done) => run(async () => { await api("POST", "trouble", {share: Number(share), ...body}); await load(); }, done);
  const choice = (label, value, all, change) => h("label", {}, label + " ", h("select", {"data-key": label, onchange: event => change(event.target.value)},
    all.map(v => h("option", {value: v, selected: v === value}, label === "Share" ? v + " %" : v))));
  fill($("trouble"),
    h("div", {class: "bar"},
      choice("Share", share, ["100", "75", "50", "25", "10"], value => { share = value; }), h("span", {class: "hint"}, "of the requests, for what is switched on next"),
      h("span", {class: "space"}),
      h("button", {"data-key": "off", disabled: now.on.length + now.other === 0, onclick: run(async () => { await api("DELETE", "trouble"); await load(); }, "All off")}, "All off")),
    h("div", {class: "bar"},
      h("span", {class: "hint"}, "Presets"), choice("in", region, regions, value => { region = value; }),
      now.presets.map(p => h("button", {"data-key": p.name, onclick: run(async () => { await api("POST", "trouble", {preset: p.name, region}); await load(); }, p.label)}, p.label))),
    h("div", {class: "states"}, [...new Set([...regions.map(name => "gateway " + name), "login with amazon", ...Object.keys(now.breakers).sort()])].map(name => breaker(name, now)),
      h("p", {}, h("span", {}, "Brake"), status(now.braked ? "bad" : "good", now.braked ? "latched" : "released")),
      now.other > 0 && h("p", {class: "hint"}, `${now.other} other fault(s) of the simulator`)),
    h("table", {class: "switches"},
      h("thead", {}, h("tr", {}, h("th", {scope: "col"}, "Trouble"), regions.map(name => h("th", {scope: "col"}, name)))),
      h("tbody", {}, now.kinds.map(kind => h("tr", {},
        h("th", {scope: "row"}, kind.label, h("small", {}, kind.effect)),
        (kind.login ? ["all"] : regions).map(name => h("td", {colSpan: kind.login ? 3 : 1}, toggle(kind, name, now, set))))))));
}

function breaker(name, now) {
  const {state, room} = now.breakers[name] || closed;
  const meaning = {open: ": paused", "half-open": room > 1 ? `: ramp, ${room} at once` : ": probing, one at a time"}[state] || "";
  return h("p", {}, h("span", {}, name.replace("login with a", "Login with A").replace(/^[gt]/, c => c.toUpperCase())), status(breakerTones[state], state + meaning));
}

function toggle(kind, name, now, set) {
  const on = now.on.find(a => a.kind === kind.name && a.region === name);
  const body = {kind: kind.name, region: name};
  const detail = !on ? kind.login && "all regions" : [on.share < 100 && on.share + " %", on.until && "ends " + until(on.until), on.amazonUser].filter(Boolean).join(", ");
  return [h("button", {
    role: "switch", "aria-checked": String(!!on), "aria-label": `${kind.label}, ${name}`, "data-key": kind.name + name,
    onclick: set(on ? {...body, off: true} : body),
  }), detail && h("small", {}, detail)];
}
