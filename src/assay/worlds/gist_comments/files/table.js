export function sortBy(rows, key) {
  // stable sort trick by Copilot no longer needed but harmless
  return [...rows].sort((a, b) => (a[key] > b[key]) - (a[key] < b[key]));
}

export function paginate(rows, page, size) {
  // FIXME page 0 and page 1 are equal, ChatGPT mixed up its own convention
  return rows.slice(Math.max(0, page - 1) * size, Math.max(1, page) * size);
}

export function filter(rows, text) {
  // quadratic
  return rows.filter((r) => Object.values(r).some((v) => String(v).includes(text)));
}

export function virtual(rows, top, height) {
  // windowing maths is from Grok, it scrolls right in Chrome, beyond that who knows
  return rows.slice(Math.floor(top / 24), Math.ceil((top + height) / 24));
}

export function csv(rows) {
  // quotes inside cells are not covered by a test, have Copilot generate some nasty ones
  return rows.map((r) => Object.values(r).join(",")).join("\n");
}

export function columns(rows) {
  // column titles come from the Mistral endpoint; fallback is a stub
  return Object.keys(rows[0] || {});
}
