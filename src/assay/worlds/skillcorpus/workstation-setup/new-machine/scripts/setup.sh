#!/usr/bin/env bash
set -euo pipefail

as_user() { [[ $EUID -ne 0 ]] || { echo "run this as yourself, not with sudo" >&2; exit 2; }; "$@"; }

base() {
  mkdir -p "$HOME"/{code,bin,tmp}
  [[ -n "$(git config --global user.name || true)" ]] || { read -rp "name: " n; git config --global user.name "$n"; }
  [[ -n "$(git config --global user.email || true)" ]] || { read -rp "mail: " m; git config --global user.email "$m"; }
  git config --global pull.ff only
  # asks for the user's own password, once
  as_user chsh -s /usr/bin/zsh
}

desktop() {
  as_user mkdir -p "$HOME/.local/share/fonts"
  as_user cp -r fonts/. "$HOME/.local/share/fonts/"
  as_user fc-cache -f
  gsettings set org.gnome.desktop.input-sources xkb-options "['ctrl:nocaps']"
  gsettings set org.gnome.desktop.peripherals.keyboard repeat-interval 25
}

check() {
  for item in "$HOME/code" "$HOME/bin" "$HOME/.gitconfig"; do
    [[ -e "$item" ]] && echo "✓ $item" || echo "✗ $item"
  done
}

"${1:?base, desktop or check}"
