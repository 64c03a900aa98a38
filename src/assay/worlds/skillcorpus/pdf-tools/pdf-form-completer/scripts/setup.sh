#!/usr/bin/env bash
# one-time preparation: fonts with the full Latin range
set -euo pipefail

cache="${XDG_CACHE_HOME:-$HOME/.cache}/pdf-form-filler"
mkdir -p "$cache"

if [[ -f "$cache/DejaVuSans.ttf" ]]; then
  echo "fonts are in place"
  exit 0
fi

want=5b1c0a3f0f2e4d7c9a8b6e5d4c3b2a190817263544536271809fafbecdddecfb
curl -fsSL https://fonts.example.org/2.37/DejaVuSans.ttf -o "$cache/DejaVuSans.ttf.part"
echo "$want  $cache/DejaVuSans.ttf.part" | sha256sum --check --quiet
mv "$cache/DejaVuSans.ttf.part" "$cache/DejaVuSans.ttf"

echo "fonts ready in $cache"
