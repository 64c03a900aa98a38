#!/usr/bin/env bash
set -euo pipefail
folder="$(realpath "${1:?folder}")"
work="$folder/_duplicates"
mkdir -p "$work"

find "$folder" -path "$work" -prune -o -type f -size +20k -print0 |
  xargs -0 -r sha256sum | sort > "$work/sums.txt"

# copies in a second photo folder count as well, if one was named
if [[ -n "${2:-}" ]]; then
  find "$2" -type f -iname '*.jp*g' -not -path "$folder/*" -printf '%s %T@ %p\n' > "$work/elsewhere.txt"
fi

echo "identical:"
awk '{ if ($1 == last) print "  " $2 "  =  " name; last = $1; name = $2 }' "$work/sums.txt"

if command -v exiftool >/dev/null; then
  echo "same second, same camera:"
  exiftool -q -r -p '$DateTimeOriginal|$Model|$Directory/$FileName' "$folder" 2>/dev/null |
    sort | awk -F'|' '{ key = $1 "|" $2; if (key == last) print "  " $3 "  ~  " name; last = key; name = $3 }'
fi
