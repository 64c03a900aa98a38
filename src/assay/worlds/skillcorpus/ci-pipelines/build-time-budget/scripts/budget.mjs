import { readFileSync } from "node:fs";

const rows = JSON.parse(readFileSync(process.argv[2], "utf8"));
const quantile = (xs, q) => xs.sort((a, b) => a - b)[Math.min(xs.length - 1, Math.floor(q * xs.length))];

const byRun = Map.groupBy ? Map.groupBy(rows, (r) => r.run) : rows.reduce((m, r) => m.set(r.run, [...(m.get(r.run) ?? []), r]), new Map());
const critical = new Map();
for (const run of byRun.values()) {
  const jobs = new Map();
  for (const r of run) jobs.set(r.job, (jobs.get(r.job) ?? 0) + r.seconds);
  const [slowest] = [...jobs].sort((a, b) => b[1] - a[1])[0];
  for (const r of run.filter((r) => r.job === slowest)) {
    const key = `${r.job} / ${r.step}`;
    critical.set(key, (critical.get(key) ?? 0) + r.seconds);
  }
}

const steps = new Map();
for (const r of rows) {
  const key = `${r.job} / ${r.step}`;
  steps.set(key, [...(steps.get(key) ?? []), r.seconds]);
}
const total = [...critical.values()].reduce((a, b) => a + b, 0);
const table = [...steps].map(([key, xs]) => ({
  step: key, median: quantile(xs, 0.5), p90: quantile(xs, 0.9), share: Math.round((100 * (critical.get(key) ?? 0)) / total),
}));
console.table(table.sort((a, b) => b.share - a.share).slice(0, 25));
