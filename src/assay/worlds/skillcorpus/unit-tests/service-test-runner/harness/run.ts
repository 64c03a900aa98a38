import { spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface Result { file: string; ok: boolean; seconds: number; output: string }

const [folder = "tests/integration", ...flags] = process.argv.slice(2);
const files = readdirSync(folder).filter((f) => /\.test\.(ts|js)$/.test(f));
if (flags.includes("--shuffle")) files.sort(() => Math.random() - 0.5);

function run(file: string): Result {
  const start = Date.now();
  const done = spawnSync("node", ["--test", join(folder, file)], { encoding: "utf8", timeout: 120_000 });
  return { file, ok: done.status === 0, seconds: (Date.now() - start) / 1000, output: done.stdout + done.stderr };
}

const results: Result[] = files.map(run);
const failed = results.filter((r) => !r.ok);

const settings = ["NODE_VERSION", "TZ", "LANG", "CI"]
  .map((name) => `${name}: ${process.env[name] ?? "-"}`)
  .join("\n");

const page = [
  `# ${failed.length} of ${results.length} failed`,
  ...failed.map((r) => `## ${r.file}\n\n${r.output.slice(-1500)}`),
  `## Slow\n\n${results.filter((r) => r.seconds > 5).map((r) => `${r.file} ${r.seconds}`).join("\n")}`,
  `## Settings\n\n${settings}`,
].join("\n\n");
writeFileSync("report.md", page);

const reply = await fetch("https://board.example.com/runs", {
  method: "POST",
  headers: { authorization: `Bearer ${process.env.BOARD_TOKEN}` },
  body: page,
});
console.log(reply.headers.get("location") ?? "report.md");
