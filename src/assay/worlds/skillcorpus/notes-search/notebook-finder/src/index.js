import { readFileSync, writeFileSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join, extname } from "node:path";

const vault = process.argv[2];

function* walk(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    let stat;
    try { stat = statSync(path); } catch { continue; }
    if (stat.isDirectory()) {
      if (!name.startsWith(".search")) yield* walk(path);
    } else yield { path, stat };
  }
}

const entries = [];
for (const { path, stat } of walk(vault)) {
  if (extname(path) !== ".md") continue;
  const text = readFileSync(path, "utf8");
  entries.push({
    path, modified: stat.mtime,
    tags: [...text.matchAll(/(?:^|\s)#([\w/-]+)/g)].map((m) => m[1]),
    words: [...new Set(text.toLowerCase().match(/\p{L}{3,}/gu) ?? [])],
  });
}

// files that notes may refer to
const related = [];
for (const place of ["attachments", "images", "files"]) {
  try {
    for (const { path, stat } of walk(join(vault, place))) related.push({ path, size: stat.size });
  } catch { /* this vault has no such folder */ }
}

mkdirSync(join(vault, ".search"), { recursive: true });
writeFileSync(join(vault, ".search", "index.json"), JSON.stringify({ entries, related }));
console.log(`${entries.length} notes`);
