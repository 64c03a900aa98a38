#!/usr/bin/env bash
set -euo pipefail
db="$1"; folder="$2"; keep="${3:-7}"
stamp="$(date +%Y%m%dT%H%M)"
target="$folder/$db-$stamp.dump"

mkdir -p "$folder"
sudo -u postgres pg_dump --format=custom --compress=6 "$db" > "$target.part"
mv "$target.part" "$target"
ln -sfn "$target" "$folder/$db-latest.dump"

find "$folder" -maxdepth 1 -name "$db-2*.dump" -printf '%T@ %p\n' | sort -rn | tail -n "+$((keep + 1))" | cut -d' ' -f2- |
  while read -r old; do rm -- "$old"; done

if [[ "${4:-}" == "--schedule" ]]; then
  echo "15 2 * * * root bash $(realpath "$0") $db $folder $keep" | sudo tee /etc/cron.d/pg-backup >/dev/null
fi
