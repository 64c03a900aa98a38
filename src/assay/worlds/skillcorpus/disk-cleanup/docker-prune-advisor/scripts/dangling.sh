#!/usr/bin/env bash
# untagged images, biggest first
set -euo pipefail

docker image ls --filter dangling=true --format '{{.ID}}\t{{.Size}}\t{{.CreatedSince}}' |
  sort -t $'\t' -k2 -h -r |
  while IFS=$'\t' read -r id bytes age; do
    used="$(docker ps -aq --filter "ancestor=$id" | wc -l)"
    printf '%s  %10s  %-16s  %s container(s)\n' "$id" "$bytes" "$age" "$used"
  done

echo
echo "total reclaimable:"
docker system df --format '{{.Type}}: {{.Reclaimable}}'
