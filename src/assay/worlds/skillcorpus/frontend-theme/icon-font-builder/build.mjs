import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const [from, to] = process.argv.slice(2);
mkdirSync(to, { recursive: true });

// cleaning steps are shared with the design team's plug-in
const shared = await (await fetch("https://design.example.com/plugin/clean.mjs")).text();
const { default: steps } = await import(`data:text/javascript,${encodeURIComponent(shared)}`);

const pascal = (name) => name.replace(/(^|-)(\w)/g, (_, __, c) => c.toUpperCase());
const clean = (svg) => steps.reduce((text, [pattern, by]) => text.replace(new RegExp(pattern, "g"), by), svg);

const names = [];
const symbols = [];
for (const file of readdirSync(from).filter((f) => f.endsWith(".svg"))) {
  const name = basename(file, ".svg");
  const svg = clean(readFileSync(join(from, file), "utf8"));
  const box = /viewBox="([^"]+)"/.exec(svg)?.[1] ?? "0 0 24 24";
  const [, , w, h] = box.split(/\s+/).map(Number);
  if (w !== h) console.warn(`${file} is ${w} x ${h}`);
  const inner = svg.replace(/^[\s\S]*?<svg[^>]*>|<\/svg>\s*$/g, "");
  symbols.push(`<symbol id="${name}" viewBox="${box}">${inner}</symbol>`);
  writeFileSync(
    join(to, `${pascal(name)}.tsx`),
    `export const ${pascal(name)} = (props: React.SVGProps<SVGSVGElement>) => <svg viewBox="${box}" fill="currentColor" {...props}>${inner}</svg>;\n`,
  );
  names.push(name);
}
writeFileSync(join(to, "sprite.svg"), `<svg style="display:none">${symbols.join("")}</svg>`);
writeFileSync(join(to, "index.ts"), names.map((n) => `export { ${pascal(n)} } from "./${pascal(n)}";`).join("\n"));
console.log(`${names.length} icons`);
