// What all sections use: elements, requests, times.

// h makes an element. Properties that begin with "on" are listeners; "class", "data-…",
// "aria-…" and the like are attributes; children are elements, texts, or false for none.
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.includes("-")) element[name] = value;
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter(child => child !== false && child != null && child !== ""));
  return element;
}

export const $ = id => document.getElementById(id);

// api calls the API. An error is shown, and thrown. Reads are answered in their order, so
// that no older state is shown after a newer one.
let reads = Promise.resolve();
export function api(method, path, body) {
  if (method !== "GET") return call(method, path, body);
  return reads = reads.catch(() => {}).then(() => call(method, path));
}

async function call(method, path, body) {
  let answer;
  try {
    const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const response = await fetch("api/" + path, {method, body: text});
    answer = await response.json();
  } catch {
    answer = {error: "Gatepost does not answer: has the run ended?"};
  }
  if (answer.error) {
    toast(answer.error, "bad");
    throw new Error(answer.error);
  }
  return answer;
}

// run is the listener that does something and says so. A failure was shown already.
export const run = (action, done) => async event => {
  event?.preventDefault();
  try {
    const result = await action(event);
    if (done) toast(done);
    return result;
  } catch { /* api has shown it */ }
};

let toastTimer;
export function toast(text, tone = "") {
  const box = $("toast");
  box.textContent = text;
  box.className = tone;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { box.textContent = ""; }, 6000);
}

// fill replaces the content of a section. The focus stays on the control with its key.
export function fill(section, ...children) {
  const fresh = h(section.tagName, {}, ...children), before = section.cloneNode(true);
  for (const d of before.querySelectorAll("details")) d.open = false;
  if (fresh.innerHTML === before.innerHTML) return; // a click that has begun is not lost
  const key = section.contains(document.activeElement) && document.activeElement.dataset.key;
  const open = new Set([...section.querySelectorAll("details[open]")].map(d => d.dataset.key));
  section.replaceChildren(...fresh.childNodes);
  for (const d of section.querySelectorAll("details")) d.open = open.has(d.dataset.key);
  if (key) section.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

// soon returns a function that calls another after a pause: once for many calls, or once
// in each pause if they do not stop. The last time is a pause after the last of them.
export function soon(call, pause) {
  let timer, again;
  const fire = () => { timer = again && setTimeout(fire, pause); again = false; call(); };
  return () => { if (timer) again = true; else timer = setTimeout(fire, pause); };
}

const pad = (n, width = 2) => String(n).padStart(width, "0");

export function clock(text, exact) {
  const t = new Date(text);
  return `${pad(t.getHours())}:${pad(t.getMinutes())}:${pad(t.getSeconds())}` + (exact ? "." + pad(t.getMilliseconds(), 3) : "");
}

// length writes milliseconds.
export function length(ms) {
  if (ms == null) return "";
  if (ms > 0 && ms < 0.1) return "< 0.1 ms";
  if (ms < 10) return ms.toFixed(1) + " ms";
  if (ms < 1000) return Math.round(ms) + " ms";
  for (const [unit, size, next] of [["s", 1000, 60], ["min", 60000, 60], ["h", 3600000, 48]]) {
    if (ms < size * next) return (ms / size).toFixed(unit === "s") + " " + unit;
  }
  return Math.round(ms / 86400000) + " days";
}

// until writes how far a time is from now.
export function until(text) {
  const ms = new Date(text) - Date.now();
  return ms < 0 ? length(-ms) + " ago" : "in " + length(ms);
}

export const status = (tone, text) => h("span", {class: "status " + tone}, text);

export const json = value => typeof value === "string" ? value : JSON.stringify(value, null, 2);

export function options(select, values, first) {
  const chosen = select.value;
  select.replaceChildren(...(first === undefined ? [] : [h("option", {value: ""}, first)]), ...values.map(v => h("option", {}, v)));
  if (values.includes(chosen)) select.value = chosen;
}
