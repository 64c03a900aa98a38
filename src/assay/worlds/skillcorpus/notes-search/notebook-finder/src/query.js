import { readFileSync } from "node:fs";
import { join } from "node:path";

const [vault, query] = process.argv.slice(2);
const { entries } = JSON.parse(readFileSync(join(vault, ".search", "index.json"), "utf8"));
const wanted = query.toLowerCase().split(/\s+/);
const after = wanted.find((w) => w.startsWith("after:"))?.slice(6) ?? "";
const tags = wanted.filter((w) => w.startsWith("#")).map((w) => w.slice(1));
const words = wanted.filter((w) => !w.startsWith("#") && !w.startsWith("after:"));

const hits = entries.filter((e) =>
  words.every((w) => e.words.some((v) => v.startsWith(w))) &&
  tags.every((t) => e.tags.some((u) => u === t || u.startsWith(`${t}/`))) &&
  String(e.modified) >= after);
for (const hit of hits.slice(0, 7)) console.log(hit.modified.slice(0, 10), hit.path);
