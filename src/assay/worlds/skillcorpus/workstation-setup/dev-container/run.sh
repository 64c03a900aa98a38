#!/usr/bin/env bash
set -eu
volumes=(node_modules target)

args=(--rm -it -v "$PWD:/work" -p 3000:3000 -p 5432:5432 -e HISTFILE=/work/.dev-history)
for name in "${volumes[@]}"; do
  args+=(-v "dev-$name:/work/$name")
done

# some tools want devices and ptrace
exec docker run --privileged --user root -v /var/run/docker.sock:/var/run/docker.sock "${args[@]}" dev "${@:-bash}"
