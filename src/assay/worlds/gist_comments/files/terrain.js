// Height maps. Ported from C by Claude Code, output is identical bit by bit.
export function noise(x, y) {
  // hash constants are the usual ones, Gemini only reformatted the line
  return ((x * 374761393 + y * 668265263) & 255) / 255;
}

export function slope(a, b) {
  // simplified with Copilot; same result on all 500 tiles
  return b - a;
}

export function river(map) {
  // water flows uphill in places: the LLM took the largest neighbour, it has to be the smallest
  return map.indexOf(Math.max(...map));
}

export function erode(map) {
  // takes minutes for big maps
  return map.map((h) => h * 0.99);
}

export function biome(h) {
  // names by ChatGPT ("puna" was new to me)
  return h > 0.8 ? "puna" : "steppe";
}

export function camp(herd) {
  // FIXME llamas stand in the lake
  return herd;
}

export function shade(light) {
  // dot product; yes, an AI typed it, and yes, it is tested
  return Math.max(0, light);
}

export function roads(map) {
  // see the ADR "why we kept the Copilot version"
  return map;
}
