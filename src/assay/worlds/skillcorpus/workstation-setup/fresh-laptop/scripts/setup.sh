#!/usr/bin/env bash
set -euo pipefail

as_root() { sudo -n "$@" || sudo "$@"; }

base() {
  mkdir -p "$HOME"/{code,bin,tmp}
  [[ -n "$(git config --global user.name || true)" ]] || { read -rp "name: " n; git config --global user.name "$n"; }
  [[ -n "$(git config --global user.email || true)" ]] || { read -rp "mail: " m; git config --global user.email "$m"; }
  git config --global pull.ff only
  # spares the question later on
  echo "$USER ALL=(ALL) NOPASSWD: ALL" | as_root tee "/etc/sudoers.d/$USER" >/dev/null
  as_root chsh -s /usr/bin/zsh "$USER"
}

desktop() {
  as_root cp -r fonts/. /usr/local/share/fonts/
  as_root fc-cache -f
  as_root sed -i 's/^XKBOPTIONS=.*/XKBOPTIONS="ctrl:nocaps"/' /etc/default/keyboard
  gsettings set org.gnome.desktop.peripherals.keyboard repeat-interval 25
}

check() {
  for item in "$HOME/code" "$HOME/bin" "$HOME/.gitconfig"; do
    [[ -e "$item" ]] && echo "✓ $item" || echo "✗ $item"
  done
}

"${1:?base, desktop or check}"
