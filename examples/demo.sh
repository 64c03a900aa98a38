#!/usr/bin/env bash
# What `make demo` runs: three claims tried in full and a scan of a folder of agent skills.
set -euo pipefail
assay=${1:-assay}
out=${2:-out}
mkdir -p "$out"
store=$out/results.duckdb

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "1. Does history-aware weighting mend GRPO's biased advantages?"
"$assay" run hadw --store "$store"

say "2. Does one token of thought tell which model should write the next step?"
"$assay" run glimprouter --store "$store"

say "3. Are sampling steps better spent where the velocity is uncertain?"
"$assay" run stable_velocity_sampling --store "$store"

say "4. Which of these agent skills would you rather not install?"
"$assay" use skill_scan scan examples/skills --fail-on never
"$assay" use skill_scan scan examples/skills --fail-on never --format sarif --output "$out/skills.sarif"

say "5. The verdicts, as pictures and as one page"
for name in hadw glimprouter stable_velocity_sampling; do
  "$assay" plot "$name" --store "$store" --out "$out/$name.png"
done
"$assay" report --store "$store" --out "$out/report.html"
printf '\nOpen %s/report.html; the pictures and the scan lie beside it.\n' "$out"
