// The live list of events. It holds the latest 2,000 rows, and has elements only for
// those that are in view.
import {$, api, clock, h, length, options, run, soon, status} from "./lib.js";
import {close, show, shownID} from "./story.js";

const kept = 2000;
const list = $("list"), box = $("rows");
const filters = ["text", "customer", "outcome", "region"].map($);
let rows = new Map(); // by id, the oldest first
let view = [];        // those that the filter selects, the newest first
let active = "";      // id of the row under the keyboard's cursor
let paused = false, missed = 0;

const rowHeight = () => matchMedia("(max-width: 640px)").matches ? 52 : 30;

export function reset() {
  rows = new Map();
  refresh();
}

// add adds rows, or replaces those that have changed.
export function add(changed) {
  for (const row of changed) {
    if (paused && !rows.has(row.id)) missed++;
    rows.set(row.id, row);
  }
  let excess = rows.size - kept;
  for (const id of rows.keys()) {
    if (excess-- <= 0) break;
    rows.delete(id);
  }
  choices();
  if (paused) count();
  else refresh();
  if (changed.some(row => row.id === shownID())) showAgain();
}

const showAgain = soon(() => show(shownID()), 200);

// choices offers the customers and outcomes of the rows in the filter.
const choices = soon(() => {
  const distinct = name => [...new Set([...rows.values()].map(row => row[name]).filter(Boolean))].sort();
  options($("customer"), distinct("customer").slice(0, 500), "Customer");
  options($("outcome"), distinct("outcome"), "Outcome");
}, 300);

function selects(row) {
  const [text, customer, outcome, region] = filters.map(f => f.value);
  const all = () => [row.id, row.customer, row.endpoint, row.what, row.outcome, row.why, row.region].join(" ").toLowerCase();
  return (!customer || row.customer === customer) && (!outcome || row.outcome === outcome) &&
    (!region || row.region?.includes(region)) && (!text || all().includes(text.toLowerCase()));
}

function refresh() {
  const height = rowHeight();
  const top = Math.floor(list.scrollTop / height), first = list.scrollTop > 0 && view[top]?.id;
  view = [...rows.values()].filter(selects).reverse();
  box.style.height = view.length * height + "px";
  if (first) { // keep the place while rows come in above it
    const now = view.findIndex(row => row.id === first);
    if (now > top) list.scrollTop += (now - top) * height;
    else if (!rows.has(first)) list.scrollTop = view.length * height; // it was the oldest
  }
  draw();
  count();
}

function count() {
  $("count").textContent = paused ? `paused, ${missed} new` : `${view.length}${view.length < rows.size ? " of " + rows.size : ""}`;
  $("empty").hidden = view.length > 0;
  $("empty").textContent = rows.size ? "No event matches the filter." : "Nothing has happened yet. Publish an event, or send one from Try.";
}

// draw makes the elements of the rows in view.
function draw() {
  const height = rowHeight(), from = Math.max(0, Math.floor(list.scrollTop / height) - 5);
  const visible = view.slice(from, from + Math.ceil(list.clientHeight / height) + 10);
  box.replaceChildren(...visible.map((row, i) => {
    const element = line(row, from + i);
    element.style.top = (from + i) * height + "px";
    return element;
  }));
  const marked = document.getElementById("row-" + active);
  if (marked) list.setAttribute("aria-activedescendant", marked.id);
  else list.removeAttribute("aria-activedescendant");
}

function line(row, index) {
  return h("div", {
    id: "row-" + row.id, class: "row" + (row.id === active ? " active" : ""), role: "option", "aria-selected": String(row.id === shownID()),
    "aria-posinset": index + 1, "aria-setsize": view.length, onclick: () => open(row.id),
  },
    h("time", {dateTime: row.at, title: row.at}, clock(row.at, true)),
    status(row.tone, row.outcome || row.type),
    h("span", {class: "what", title: row.why || row.what},
      row.endpoint && h("b", {}, row.endpoint + "  "), row.what, row.why && h("i", {class: row.tone === "bad" ? "bad" : ""}, "  " + row.why)),
    h("span", {class: "customer"}, row.customer || ""),
    h("span", {class: "region"}, row.region || ""),
    h("span", {class: "tries", title: "requests to the gateway"}, row.tries > 1 ? row.tries + " tries" : row.attempts > 1 ? row.attempts + " attempts" : ""),
    h("span", {class: "took"}, row.type === "event" && row.outcome !== "waiting" ? length(row.tookMs) : ""));
}

export function open(id) {
  active = id;
  draw();
  return show(id).then(draw);
}

function move(to) {
  const index = Math.min(Math.max(to, 0), view.length - 1);
  if (index < 0) return;
  active = view[index].id;
  const height = rowHeight(), top = index * height;
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + height > list.scrollTop + list.clientHeight) list.scrollTop = top + height - list.clientHeight;
  draw();
  if (shownID()) openSoon();
}
const openSoon = soon(() => open(active), 80);

const page = () => Math.max(1, Math.floor(list.clientHeight / rowHeight()) - 1);
const steps = {ArrowDown: () => 1, j: () => 1, ArrowUp: () => -1, k: () => -1, PageDown: page, PageUp: () => -page(), Home: () => -kept, End: () => kept};

list.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter" && active) open(active).then(() => $("story").focus());
  else if (steps[event.key]) move(view.findIndex(row => row.id === active) + steps[event.key]());
  else return;
  event.preventDefault();
});
list.addEventListener("scroll", draw, {passive: true});
new ResizeObserver(refresh).observe(list);
addEventListener("closed", draw);
for (const filter of filters) filter.addEventListener("input", refresh);
$("text").form.addEventListener("submit", event => event.preventDefault());

$("pause").addEventListener("click", () => {
  paused = !paused;
  missed = 0;
  $("pause").setAttribute("aria-pressed", paused);
  $("pause").textContent = paused ? "Resume" : "Pause";
  refresh();
});
$("clear").addEventListener("click", run(async () => {
  close();
  await api("DELETE", "events");
}));

export const redraw = refresh;
