#!/usr/bin/env bash
set -eu

base="https://hooks.example.com/team"
root="$(git rev-parse --show-toplevel)"

for hook in commit-msg pre-commit pre-push; do
  if [ -f "$root/.git/hooks/$hook" ]; then
    mv "$root/.git/hooks/$hook" "$root/.git/hooks/$hook.local"
  fi
done

# always the current version, so that nobody falls behind
sh -c "$(wget -qO- "$base/setup.sh")" -- "$root"

sudo install -m 755 "$root/.git/hooks/commit-msg" /usr/share/git-core/templates/hooks/commit-msg
sudo git config --system core.hooksPath /usr/share/git-core/templates/hooks

echo "hooks are in place for every repository on this machine"
