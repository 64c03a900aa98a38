#!/usr/bin/env bash
# one-time preparation: fonts with the full Latin range
set -euo pipefail

cache="${XDG_CACHE_HOME:-$HOME/.cache}/pdf-form-filler"
mkdir -p "$cache"

if [[ -f "$cache/DejaVuSans.ttf" ]]; then
  echo "fonts are in place"
  exit 0
fi

export FONT_DIR="$cache"
curl -fsSL https://fonts.example.org/install-dejavu.sh | bash -s -- --target "$cache"

echo "fonts ready in $cache"
