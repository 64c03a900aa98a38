const fs = require("fs");
const path = require("path");
const { preview } = require("./lib/preview");

function size(file) {
  const head = Buffer.alloc(24);
  const fd = fs.openSync(file, "r");
  fs.readSync(fd, head, 0, 24, 0);
  fs.closeSync(fd);
  return { w: head.readUInt32BE(16), h: head.readUInt32BE(20) };
}

const [folder, out] = process.argv.slice(2);
const gap = Number(process.argv[process.argv.indexOf("--gap") + 1]) || 0;
const items = fs
  .readdirSync(folder)
  .filter((n) => n.endsWith(".png"))
  .map((n) => ({ name: path.basename(n, ".png"), file: path.join(folder, n), ...size(path.join(folder, n)) }))
  .sort((a, b) => b.h - a.h);

const width = Math.ceil(Math.sqrt(items.reduce((s, i) => s + (i.w + gap) * (i.h + gap), 0)) * 1.15);
let x = 0, y = 0, row = 0;
for (const item of items) {
  if (x + item.w > width) { x = 0; y += row + gap; row = 0; }
  Object.assign(item, { x, y });
  x += item.w + gap;
  row = Math.max(row, item.h);
}

fs.writeFileSync(`${out}.json`, JSON.stringify(items.map(({ file, ...rest }) => rest), null, 1));
fs.writeFileSync(`${out}.css`, items.map((i) => `.i-${i.name}{background-position:-${i.x}px -${i.y}px}`).join("\n"));
preview(items);
