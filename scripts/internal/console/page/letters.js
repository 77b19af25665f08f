// Dead letters: the reason of each, and its replay.
import {$, api, clock, fill, h, json, run, status} from "./lib.js";
import {edit} from "./try.js";

export async function count() {
  const {letters} = await api("GET", "letters");
  const left = letters.filter(letter => !letter.replays.length).length;
  $("letter-count").textContent = left ? " " + left : "";
  return letters;
}

export async function load() {
  const letters = await count();
  fill($("letters"), letters.length ? letters.map(card) : h("p", {class: "empty"}, "No dead letters. An event becomes one when it can never be delivered as it is."));
}

function card(letter) {
  return h("article", {class: "card letter"},
    h("header", {}, h("time", {}, clock(letter.at)), status("bad", letter.code || letter.reason), h("h2", {}, letter.what),
      h("span", {class: "hint"}, [letter.customer, letter.endpoint, letter.region].filter(Boolean).join("  ·  ")), h("span", {class: "space"}),
      !letter.replays.length && h("button", {"data-key": "replay" + letter.id, "aria-label": `Replay ${letter.what}`, onclick: run(async () => {
        await api("POST", "letters/" + encodeURIComponent(letter.id));
        await load();
      }, "Replayed")}, "Replay"),
      h("button", {"data-key": "edit" + letter.id, "aria-label": `Edit and send ${letter.what}`, onclick: () => edit(json(letter.data), letter.attributes.region, "")}, "Edit and send")),
    h("p", {}, letter.description),
    letter.replays.length > 0 && h("p", {class: "hint"}, "Replayed as ", letter.replays.map(id => [h("a", {href: "#events/" + id}, id), " "]).flat()),
    h("details", {"data-key": letter.id}, h("summary", {"data-key": "more" + letter.id}, "Attributes and data"),
      h("pre", {tabIndex: 0}, Object.entries(letter.attributes).map(([name, value]) => `${name}: ${value}`).join("\n") + "\n\n" + json(letter.data))));
}
