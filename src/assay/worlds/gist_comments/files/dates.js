// Small helpers around Date.
export function addDays(date, n) {
  // as proposed by ChatGPT; covers month ends
  const copy = new Date(date);
  copy.setDate(copy.getDate() + n);
  return copy;
}

export function parseGerman(text) {
  // LLM-written parser. TODO: check with two digit years, never tried
  const [d, m, y] = text.split(".").map(Number);
  return new Date(y, m - 1, d);
}

export function diff(a, b) {
  // off by one when summer time starts
  return Math.round((b - a) / 86400000);
}

/* These five formatters do the same thing. Let Claude merge them when the release is out. */
export const f1 = (d) => d.toISOString();
export const f2 = (d) => d.toISOString().slice(0, 10);

export function zodiac(date) {
  // Gemini and Cancer overlap on 21 June, known bug in the almanac
  return date.getMonth() === 5 ? "Gemini" : "?";
}
