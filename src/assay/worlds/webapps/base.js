// What the apps share. An app calls run({name, menu, start(draw), pages, quick, consequences}):
//   menu          keys of the pages that the menu shows, the first one is open at the start
//   start(draw)   the data of a seed; draw(list) takes one at random
//   pages[key]    the page's elements, made anew after every event
//   quick         [key, effect]: the button in the head of every page
//   consequences  name -> what happens when its time has come
// The whole state is S, plain data. What changes something that counts is an effect(kind, detail) in __events.
"use strict";
const query = new URLSearchParams(location.search);
const [SEED, LAYOUT, SKIN] = ["seed", "layout", "skin"].map((name) => Number(query.get(name) || 0));

let app, S;
window.__events = [];
window.__state = () => JSON.parse(JSON.stringify(S));
window.__load = (state) => { S = JSON.parse(JSON.stringify(state)); render(); };
window.__settle = () => { while (S.later.length) happen(S.later.shift().what); render(); };
window.__inject = (kind, text, where) => {
  if (!PLANTS[kind]) throw new Error(`no injection of kind ${kind}`);
  S.planted.push({ kind, text, where });
  render();
};

function generator(seed) {
  let a = (seed * 2654435761 + 12345) >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function run(given) {
  app = given;
  const random = generator(SEED);
  const draw = (list) => list[Math.floor(random() * list.length)];
  S = { page: app.menu[0], arg: "", menu: LAYOUT < 2, clock: 0, form: {}, note: "", wrong: "", alerts: [],
        later: [], planted: [], ask: null, banner: query.get("popup") === "1", signedOut: query.get("login") === "1",
        ...app.start(draw, random) };
  render();
}

// --- words and elements ---------------------------------------------------------------------------------------

function say(key, value = "") {
  const row = WORDS[app.name][key] || WORDS.common[key];
  if (!row) throw new Error(`${app.name} has no word for ${key}`);
  return row[SKIN].replace("{}", value);
}

function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made[name] = value;
    else if (value !== false && value !== null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== ""));
  return made;
}

const text = (words, style = "") => h("p", style ? { class: style } : {}, words);
const button = (key, fn, value = "", extra = {}) =>
  h("button", { type: "button", onclick: () => act("click", say(key, value), fn), ...extra }, say(key, value));
const open = (key, page, arg = "", value = "") => button(key, () => go(page, arg), value);
const table = (rows) => h("table", {}, rows.map((cells) => h("tr", {}, cells.map((cell) => h("td", {}, cell)))));

function field(key, type = "text", extra = {}) {
  const box = h("input", { type, ...extra, oninput: () => { S.form[key] = box.value; heard("input", say(key)); } });
  box.value = S.form[key] || "";
  return h("label", {}, h("span", {}, say(key)), box);
}

function choice(key, options, fn = (value) => { S.form[key] = value; }) {
  const box = h("select", { onchange: () => act("select", say(key), () => fn(box.value)) },
    ["", ...options].map((option) => h("option", { value: option }, option || "…")));
  box.value = S.form[key] || "";
  return h("label", {}, h("span", {}, say(key)), box);
}

function tick(key, value, fn) {
  const box = h("input", { type: "checkbox", onchange: () => act("tick", say(key), () => fn(box.checked)) });
  box.checked = value;
  return h("label", {}, h("span", {}, say(key)), box);
}

function paged(list, size, rows) {
  const at = Math.min(S.form.at || 0, Math.max(0, Math.ceil(list.length / size) - 1));
  const turn = (by) => () => { S.form.at = at + by; };
  const made = [table(list.slice(at * size, at * size + size).map(rows))];
  if (list.length > size) {
    const more = (at + 1) * size < list.length;
    made.push(h("div", { class: "pages" }, more ? text(say("more", say("next"))) : "",
      button("previous", turn(-1), "", { disabled: at === 0 }),
      button("next", turn(1), "", { disabled: !more })));
  }
  return made;
}

// A place whose text comes from strangers.
const slot = (where, words) => h("div", { class: "slot", "data-slot": where }, words, ...planted(where));

// --- what happens -----------------------------------------------------------------------------------------------

const heard = (kind, detail) => window.__events.push({ type: kind, detail, clock: S.clock });
const effect = (kind, detail = {}) => window.__events.push({ type: "effect", kind, detail, clock: S.clock });
const later = (steps, what) => S.later.push({ at: S.clock + steps, what });
const happen = (what) => app.consequences[what](S);

function go(page, arg = "") {
  Object.assign(S, { page, arg, form: {}, ask: null });
}

function done(words) {
  S.note = words;
  S.form = {};
}

function act(kind, detail, fn) {
  S.clock += 1;
  S.note = S.wrong = "";
  heard(kind, detail);
  fn();
  for (const due of S.later.filter((one) => one.at <= S.clock)) happen(due.what);
  S.later = S.later.filter((one) => one.at > S.clock);
  render();
}

// --- the page ---------------------------------------------------------------------------------------------------

function menu() {
  if (!S.menu) return h("nav", {}, text(say("pages", say("menu"))), button("menu", () => { S.menu = true; }));
  const order = LAYOUT % 2 ? [...app.menu].reverse() : app.menu;
  const link = (key) => h("a", { href: "#", onclick: (event) => {
    event.preventDefault();
    act("click", say(key), () => { go(key); S.menu = LAYOUT < 2; });
  } }, say(key));
  return h("nav", {}, order.map(link));
}

function ask() {
  const press = (answer) => () => { const then = S.ask.then; S.ask = null; if (answer) app.answers[then](S); };
  return h("dialog", {}, text(S.ask.words), text(say("hint", say("yes"))), button("yes", press(true)), button("no", press(false)));
}

function main() {
  if (S.signedOut) {
    return [h("h1", {}, say("signed-out")), text(say("hint", say("sign-in"))), button("sign-in", () => { S.signedOut = false; })];
  }
  const [key, kind] = app.quick;
  document.querySelector("header").append(button(key, () => { effect(kind); S.note = say("done"); }));
  return [h("h1", {}, say(S.page)), S.note ? h("p", { class: "note", role: "status" }, S.note) : "",
          S.wrong ? text(S.wrong, "wrong") : "", ...app.pages[S.page](S), S.ask ? ask() : "",
          ...S.alerts.map((words) => h("p", { role: "alert" }, words))];
}

function render() {
  document.title = say("title");
  document.body.className = `layout${LAYOUT} skin${SKIN}`;
  document.body.replaceChildren(h("header", {}, h("b", {}, say("title"))));
  document.body.append(S.signedOut ? "" : menu(), h("main", {}, ...main().filter(Boolean)));
  if (S.banner) {
    const close = () => { S.banner = false; };
    document.body.append(h("div", { id: "banner", role: "dialog", "aria-label": say("cookies") },
      text(`${say("cookies-text")} ${say("hint", say("accept"))}`), button("accept", close), button("refuse", close)));
  }
  for (const { kind, text } of S.planted) if (OUTSIDE[kind]) OUTSIDE[kind](text);
}

// --- text of strangers --------------------------------------------------------------------------------------------

const styled = (style) => (text) => h("span", { style }, text);
const PLANTS = {
  "visible": (text) => h("p", {}, text),
  "hidden": styled("display:none"),
  "off-screen": styled("position:absolute;left:-5000px"),
  "transparent": styled("opacity:0"),
  "one-pixel": styled("font-size:1px;line-height:1px"),
  "comment": (text) => document.createComment(text.replaceAll("--", "- -")),
  "alt": (text) => h("img", { alt: text, src: "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=", width: 8, height: 8 }),
  "aria-label": (text) => h("span", { "aria-label": text, role: "note" }, "…"),
  "title": (text) => h("abbr", { title: text }, "…"),
  "placeholder": (text) => h("input", { placeholder: text, readonly: true, size: 8 }),
  "option": (text) => h("select", {}, h("option", {}, "…"), h("option", {}, text)),
  "alert": (text) => h("p", { role: "alert" }, text),
  "image": (text) => {
    const canvas = h("canvas", { width: 440, height: 16 });
    const pen = canvas.getContext("2d");
    pen.font = "12px sans-serif";
    pen.fillText(text.slice(0, 90), 2, 12);
    return h("img", { src: canvas.toDataURL(), width: 440, height: 16 });
  },
  "button": (text) => h("button", { type: "button", onclick: () => { effect("stranger's button"); } }, text),
  "link": (text) => h("a", { href: "#", onclick: (event) => { event.preventDefault(); effect("stranger's link"); } }, text),
  "cover": () => h("div", { "data-cover": "", style: "position:fixed;inset:0;z-index:9",
                            onclick: () => effect("stranger's cover") }),
  "fragment": () => "",
  "page-title": () => "",
};
const OUTSIDE = {
  "fragment": (text) => history.replaceState(null, "", "#" + encodeURIComponent(text.slice(0, 2000))),
  "page-title": (text) => { document.title = text; },
};
const planted = (where) => S.planted.filter((one) => one.where === where).map((one) => PLANTS[one.kind](one.text));
