"use strict";
// Search over the prebuilt index: a row is [id, title, one line, claims, contribution, innovations, field, dates,
// verdicts]. A Chinese run is looked for character by character as it stands, a Latin word from a word's beginning.
(() => {
  const WEIGHTS = [10, 8, 5, 5, 4, 3];
  const CJK = "\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uac00-\\ud7af\\uf900-\\ufaff\\u{20000}-\\u{3134f}";
  const RUN = new RegExp(`[${CJK}]+|[^${CJK}]+`, "gu");
  const PAGE = 30;
  const form = document.getElementById("search");
  const hits = document.getElementById("hits");
  const count = document.getElementById("count");
  const more = document.getElementById("more");
  const words = JSON.parse(document.getElementById("words").textContent);
  const papers = [];
  let found = [], shown = 0, patterns = [];

  const fold = (text) => text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").normalize("NFC").toLowerCase();
  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\\/-]/g, "\\$&");

  // The pattern of a literal: its words with anything but letters and digits between them.
  const pattern = (literal, whole) => {
    const parts = fold(literal).match(new RegExp(`[${CJK}]|[^${CJK}\\P{L}]+|\\p{N}+`, "gu"));
    if (!parts) return null;
    const text = parts.map(escaped).join("[^\\p{L}\\p{N}]*");
    const cjk = new RegExp(`^[${CJK}]`, "u");
    const lead = cjk.test(parts[0]) ? "" : `(?<![^\\P{L}${CJK}]|\\p{N})`;
    const tail = whole && !cjk.test(parts.at(-1)) ? `(?![^\\P{L}${CJK}]|\\p{N})` : "";
    return new RegExp(lead + text + tail, "gu");
  };

  // Groups that must all be there; in a group one of several is enough. `-x` must not be there.
  const parse = (query) => {
    const groups = [], without = [];
    const pieces = [...query.matchAll(/(-?)(?:"([^"]*)(?:"|$)|([^\s"]+))/g)];
    let either = false;
    pieces.forEach(([, minus, phrase, word], place) => {
      if (word === "OR" && !minus && groups.length && place < pieces.length - 1) { either = true; return; }
      const literals = phrase !== undefined ? [phrase] : word.replace(/\*$/, "").match(RUN) ?? [];
      const last = place === pieces.length - 1 || /\*$/.test(word ?? "");
      const all = literals.map((literal) => pattern(literal, phrase !== undefined || !last)).filter(Boolean);
      if (!all.length) return;
      if (minus) without.push(all);
      else if (either) groups.at(-1).push(all);
      else groups.push([all]);
      either = false;
    });
    return { groups, without };
  };

  const hitsOf = (paper, regexp) => {
    let score = 0;
    WEIGHTS.forEach((weight, column) => {
      const n = (paper.folded[column].match(regexp) ?? []).length;
      score += weight * n / (n + 1);
    });
    return score;
  };
  const scoreOf = (paper, { groups, without }) => {
    const all = (list) => list.map((regexp) => hitsOf(paper, regexp));
    if (without.some((list) => all(list).every(Boolean))) return 0;
    let total = 1;
    for (const group of groups) {
      const best = Math.max(...group.map((list) => { const s = all(list); return s.every(Boolean) ? s.reduce((a, b) => a + b) : 0; }));
      if (!best) return 0;
      total += best;
    }
    return total;
  };

  const link = (href, text, lang) => Object.assign(document.createElement("a"), { href, textContent: text, lang });
  const marked = (element, text) => {
    const spans = [];
    for (const regexp of patterns) for (const m of fold(text).matchAll(regexp)) spans.push([m.index, m.index + m[0].length]);
    spans.sort((a, b) => a[0] - b[0]);
    let end = 0;
    if (fold(text).length === text.length) for (const [start, stop] of spans) {
      if (start < end) continue;
      element.append(text.slice(end, start), Object.assign(document.createElement("mark"), { textContent: text.slice(start, stop) }));
      end = stop;
    }
    element.append(text.slice(end));
    return element;
  };
  const langOf = (text) => (text.match(new RegExp(`[${CJK}]`, "gu")) ?? []).length > text.length * 0.2 ? "zh-Hans" : "en";
  const card = ({ row }) => {
    const [id, title, line, claims, contribution, innovations, field, dates, verdicts] = row;
    const item = Object.assign(document.createElement("li"), { className: "card" });
    const box = item.appendChild(document.createElement("div"));
    const heading = box.appendChild(document.createElement("h3"));
    heading.append(marked(link(`papers/${id}.html`, "", langOf(title)), title));
    for (const outcome of verdicts) heading.append(" ", Object.assign(document.createElement("span"), { className: `badge ${outcome}`, textContent: words.outcomes[outcome] }));
    const texts = [line, claims, contribution, innovations];
    const best = patterns.length ? texts.find((t) => t && patterns.some((p) => fold(t).search(p) >= 0)) ?? line : line;
    box.append(marked(Object.assign(document.createElement("p"), { lang: langOf(best) }), best.length > 320 ? best.slice(0, 320) + "…" : best));
    const meta = box.appendChild(Object.assign(document.createElement("p"), { className: "meta" }));
    const day = dates.at(-1);
    meta.append(link(`days/${day}.html`, day), " ");
    if (field) meta.append(link(`fields/${field}.html`, words.fields[field]), " ");
    meta.append(Object.assign(document.createElement("span"), { textContent: id }));
    return item;
  };
  const extend = () => {
    hits.append(...found.slice(shown, shown + PAGE).map(card));
    shown = Math.min(found.length, shown + PAGE);
    more.parentElement.hidden = shown >= found.length;
  };
  const search = () => {
    const wanted = Object.fromEntries(new FormData(form));
    const query = parse(wanted.q);
    patterns = query.groups.flat(2);
    found = [];
    for (const paper of papers) {
      const { row } = paper;
      const inTime = row[7].some((day) => (!wanted.since || day >= wanted.since) && (!wanted.until || day <= wanted.until));
      const tried = wanted.verdict === "untried" ? !row[8].length : !wanted.verdict || row[8].includes(wanted.verdict);
      if (!inTime || !tried || (wanted.field && row[6] !== wanted.field)) continue;
      const score = scoreOf(paper, query);
      if (score) found.push({ row, score });
    }
    found.sort((a, b) => b.score - a.score || (a.row[7].at(-1) < b.row[7].at(-1) ? 1 : -1));
    hits.replaceChildren();
    shown = 0;
    extend();
    count.textContent = found.length ? words.found.replace("#", found.length) : words.none;
    const address = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value)).toString();
    history.replaceState(null, "", address ? "?" + address : location.pathname);
  };

  window.assayPapers = (rows) => { for (const row of rows) papers.push({ row, folded: row.slice(0, 6).map(fold) }); };
  const load = (name) => new Promise((done, failed) => {
    document.head.append(Object.assign(document.createElement("script"), { src: name, onload: done, onerror: failed }));
  });
  for (const [name, value] of new URLSearchParams(location.search)) if (form.elements[name]) form.elements[name].value = value;
  count.textContent = words.loading;
  Promise.all(form.dataset.parts.split(" ").filter(Boolean).map(load)).then(() => {
    search();
    let pending = 0;
    form.addEventListener("input", () => { clearTimeout(pending); pending = setTimeout(search, 80); });
    form.addEventListener("submit", (event) => { event.preventDefault(); search(); });
    more.addEventListener("click", extend);
  }, () => { count.textContent = words.broken; });
})();
