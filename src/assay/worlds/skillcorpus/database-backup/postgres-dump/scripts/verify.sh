#!/usr/bin/env bash
set -euo pipefail
dump="$1"
tables="$(pg_restore --list "$dump" | grep -c ' TABLE DATA ' || true)"
echo "$tables tables with data in $dump"
[ "$tables" -gt 0 ] || { echo "the dump is empty" >&2; exit 1; }
