// The story of one event: what became of it, a waterfall, and what was said.
import {$, api, clock, h, json, length, run, status} from "./lib.js";
import {edit} from "./try.js";

const box = $("story");
let id = "", shown, tab = "Published";

export const shownID = () => id;

export function close() {
  if (!id) return;
  id = "";
  box.hidden = true;
  document.body.classList.remove("reading");
  dispatchEvent(new Event("closed"));
  $("list").focus();
}

// show shows a row, or shows it again after a change.
export async function show(wanted) {
  if (!wanted) return;
  const fresh = wanted !== id;
  id = wanted;
  let detail;
  try {
    detail = await api("GET", "events/" + encodeURIComponent(wanted));
  } catch { return; }
  if (id !== wanted) return; // another was opened meanwhile
  shown = detail;
  const key = box.contains(document.activeElement) && document.activeElement.dataset.key;
  const scroll = fresh ? 0 : box.scrollTop;
  box.hidden = false;
  document.body.classList.add("reading");
  box.replaceChildren(...content(detail));
  box.scrollTop = scroll;
  if (key) box.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

function content({row, story, published, sent, lines}) {
  const about = [row.customer, row.endpoint, row.region, clock(row.at, true), row.type === "event" && row.id].filter(Boolean).join("  ·  ");
  return [
    h("header", {},
      h("div", {}, h("h2", {}, row.what), h("p", {class: "hint"}, about)),
      published && h("button", {"data-key": "repeat", "aria-keyshortcuts": "r", onclick: repeat}, "Repeat"),
      published && h("button", {"data-key": "edit", "aria-keyshortcuts": "e", onclick: change}, "Edit and send"),
      h("button", {"data-key": "close", "aria-label": "Close", "aria-keyshortcuts": "Escape", onclick: close}, "✕")),
    h("div", {class: "verdict " + row.tone},
      status(row.tone, row.outcome || row.type),
      h("p", {}, story ? story.happened : row.why || row.what),
      story && h("p", {class: "do"}, story.do),
      story?.page && h("p", {class: "hint"}, "More: ", h("code", {}, story.page))),
    story ? waterfall(story.links) : "",
    published ? papers({Published: publishedText(published), Sent: sentParts(sent), Log: lines.map(json).join("\n\n")}) : h("pre", {tabIndex: 0}, lines.map(json).join("\n\n")),
  ];
}

// waterfall draws the links with a time on one scale, from the publish to the last end.
function waterfall(links) {
  const times = links.filter(l => l.at).map(l => ({begin: +new Date(l.at), end: +new Date(l.at) + (l.tookMs || 0)}));
  const begin = Math.min(...times.map(t => t.begin)), all = Math.max(1, Math.max(...times.map(t => t.end)) - begin);
  return h("ol", {class: "waterfall", "aria-label": `What happened, in ${length(all)}`}, links.map(link => {
    const bar = h("span", {class: "bar"});
    const at = link.at && new Date(link.at) - begin;
    if (link.at) {
      bar.style.left = Math.min(at / all * 100, 99.5) + "%";
      bar.style.width = Math.min((link.tookMs || 0) / all * 100, 100) + "%";
    }
    const quiet = ["wait", "redelivery", "subscription"].includes(link.step);
    return h("li", {class: (link.fault ? "fault" : "") + (link.step.startsWith("attempt") ? " attempt" : "") + (quiet ? " quiet" : "")},
      h("span", {class: "step"}, link.step),
      h("span", {class: "value"}, link.value || "", link.fault && h("strong", {}, (link.value ? "  " : "") + link.fault)),
      h("span", {class: "track", "aria-hidden": "true"}, link.at && bar),
      h("span", {class: "took", title: link.at ? clock(link.at, true) : ""}, link.tookMs ? length(link.tookMs) : at > 0 ? "+" + length(at) : ""));
  }));
}

const publishedText = ({data, attributes, orderingKey}) => {
  const more = Object.entries(attributes || {}).map(([name, value]) => `${name}: ${value}`);
  if (orderingKey) more.unshift("ordering key: " + orderingKey);
  return [more.join("\n"), json(data)].filter(Boolean).join("\n\n");
};

function sentParts(sent) {
  if (!sent.length) return "Nothing was sent to Amazon.";
  return sent.map(s => {
    const tone = s.status >= 200 && s.status < 300 ? "good" : "bad";
    return h("div", {class: "sent"},
      h("p", {}, h("time", {}, clock(s.at, true)), h("b", {}, s.target), status(tone, [s.status || "no answer", s.code].filter(Boolean).join(" ")),
        s.retryAfter && "Retry-After " + s.retryAfter, s.fault && h("span", {class: "hint"}, "by Trouble"), h("span", {class: "hint"}, length(s.tookMs))),
      s.reason && h("p", {class: "hint"}, "The simulator's reason: " + s.reason),
      h("pre", {tabIndex: 0, "aria-label": "Sent"}, json(s.body)),
      s.answer && h("pre", {tabIndex: 0, "aria-label": "Answer"}, json(s.answer)));
  });
}

// papers are tabs, of which the chosen one stays from event to event.
function papers(all) {
  const panel = h("div", {id: "paper", role: "tabpanel", "aria-label": tab});
  const put = () => panel.replaceChildren(...[all[tab]].flat().map(part => typeof part === "string" ? h("pre", {tabIndex: 0}, part) : part));
  const tabs = h("div", {class: "tabs", role: "tablist", "aria-label": "Texts"}, Object.keys(all).map(name => h("button", {
    role: "tab", "data-key": name, "aria-selected": String(name === tab), "aria-controls": "paper", onclick: () => {
      tab = name;
      panel.setAttribute("aria-label", name);
      for (const t of tabs.children) t.setAttribute("aria-selected", String(t.dataset.key === tab));
      put();
    },
  }, name)));
  put();
  return h("div", {}, tabs, panel);
}

const repeat = run(() => api("POST", `events/${encodeURIComponent(id)}/repeat`), "Published again");

function change() {
  const {data, attributes} = shown.published;
  edit(json(data), attributes?.region, "");
}

export const keys = {r: () => shown?.published && id && repeat(), e: () => shown?.published && id && change(), Escape: close};
