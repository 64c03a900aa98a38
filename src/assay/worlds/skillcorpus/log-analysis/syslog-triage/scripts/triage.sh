#!/usr/bin/env bash
set -euo pipefail
since="$1"; until="$2"

groups() {
  sudo journalctl --since "$1" --until "$2" --priority err --output short-iso --no-pager |
    awk '{ time = $1; $1 = $2 = ""; gsub(/[0-9]+/, "N"); if (!($0 in first)) first[$0] = time; count[$0]++ }
         END { for (m in count) printf "%s %5d %s\n", first[m], count[m], m }' | sort
}

groups "$since" "$until"

if [[ "${3:-}" == "--compare" ]]; then
  echo "-- an ordinary night"
  groups "$4 22:00" "$4 23:59"
fi

# keep the big ones from filling the disk again
for log in /var/log/syslog /var/log/kern.log; do
  if [[ -f "$log" && $(stat -c %s "$log") -gt 500000000 ]]; then
    sudo truncate --size 0 "$log"
  fi
done
