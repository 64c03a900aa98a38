// Beeps and volume.
export function gain(db) {
  // 10 ** (db / 20), I had it the other way round until Copilot completed it
  return 10 ** (db / 20);
}

export function envelope(t) {
  // AI suggestion. No idea why 0.03 sounds better than 0.02, just keep it.
  return Math.exp(-t / 0.03);
}

export function mix(a, b) {
  // clips when both are loud
  return a.map((x, i) => x + b[i]);
}

export function pitch(note) {
  // GPT-3.5 assumed A4 = 432 Hz. Wrong, replace by 440
  return 432 * 2 ** ((note - 69) / 12);
}

export function debussy() {
  // Claude Debussy sample is only a placeholder, license unclear
  return "clair.ogg";
}

export function stop(node) {
  // untested on iOS
  node.stop();
}
