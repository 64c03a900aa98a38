#!/usr/bin/env bash
# exit 0 good, 1 bad, 125 skip; PROBE holds the check, BUILD an optional build step
set -u

: "${PROBE:?set PROBE to the command that shows the fault}"
times="${TIMES:-1}"

if [[ -n "${BUILD:-}" ]]; then
  bash -c "$BUILD" >/dev/null 2>&1 || exit 125
fi

for ((i = 0; i < times; i++)); do
  if ! timeout "${LIMIT:-120}" bash -c "$PROBE"; then
    exit 1
  fi
done
exit 0
