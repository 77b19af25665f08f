// The page: its sections, its keys, and the stream of rows.
import {$, soon} from "./lib.js";
import * as events from "./events.js";
import * as story from "./story.js";
import * as customers from "./customers.js";
import * as trying from "./try.js";
import * as trouble from "./trouble.js";
import * as letters from "./letters.js";

const sections = {events: null, customers, try: trying, trouble, letters};
const current = () => Object.keys(sections).find(name => !$(name).hidden);

function route() {
  const [wanted, id] = location.hash.slice(1).split("/");
  const name = wanted in sections ? wanted : "events";
  for (const section of Object.keys(sections)) $(section).hidden = section !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === "#" + name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `Gatepost: ${$(name).getAttribute("aria-label")}`;
  sections[name]?.load().catch(() => {});
  if (name === "events") {
    events.redraw();
    if (id) events.open(decodeURIComponent(id));
  }
}
addEventListener("hashchange", route);

// The latest state is read again when something has happened, not by the clock.
const reload = soon(() => {
  const name = current();
  if (["customers", "letters", "trouble"].includes(name)) sections[name].load().catch(() => {});
  if (name !== "trouble") trouble.health().catch(() => {});
}, 400);
const count = soon(() => letters.count().catch(() => {}), 400);

const stream = new EventSource("api/stream");
stream.onopen = () => { $("connection").textContent = "live"; $("connection").className = "status good"; reload(); count(); };
stream.onerror = () => { $("connection").textContent = "not connected"; $("connection").className = "status bad"; };
stream.addEventListener("reset", events.reset);
stream.addEventListener("rows", event => {
  const rows = JSON.parse(event.data);
  events.add(rows);
  reload();
  if (rows.some(row => row.type !== "event" || row.tone === "bad")) count();
});

const keys = {
  "/": () => { location.hash = "#events"; route(); $("text").focus(); },
  p: () => $("pause").click(), c: () => $("clear").click(), ...story.keys,
};
addEventListener("keydown", event => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const tab = document.querySelectorAll("nav a")[Number(event.key) - 1];
  if (tab) location.hash = tab.hash;
  else if (keys[event.key] && (event.key === "/" || current() === "events")) keys[event.key]();
  else return;
  event.preventDefault();
});

route();
