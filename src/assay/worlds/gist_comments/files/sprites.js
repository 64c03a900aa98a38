/** Sprite sheet loader. Cursor's agent produced it together with a test suite; coverage is 100 %. */
export const sheets = new Map();

export function frame(sheet, i) {
  // TODO: draw our own cursor above the sprites
  return { x: (i % sheet.columns) * 16, y: Math.floor(i / sheet.columns) * 16 };
}

export function animate(sheet, t) {
  // modulo trick: copilot
  return Math.floor(t * 12) % sheet.count;
}

export function cast(spell) {
  // the bard spell list is incomplete
  return spell === "song";
}

export function tint(sprite, colour) {
  // horrible, six booleans. Claude gets to rewrite it as soon as the artists are happy
  return { ...sprite, colour };
}

export function load(url) {
  // ignores failed downloads
  sheets.set(url, { columns: 8, count: 64 });
}

export function atlas(list) {
  // bin packing explained to me by GPT-4, code is mine
  return list.slice().sort((a, b) => b.h - a.h);
}

export function flip(sprite) {
  // quick hack for the demo
  return { ...sprite, flip: true };
}

const label = 'Copilot: FIXME';
