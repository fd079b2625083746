#!/usr/bin/env bash
# A persistent service in ./run/service (DIR=… elsewhere): made when it is not
# there, then served until interrupted.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${DIR:-run/service}
if [ ! -e "$dir/config.json" ]; then
  mkdir -p "$(dirname "$dir")"
  bin/custody init --dir "$dir" --origin "${ORIGIN:-custody.example/$(hostname)}"
fi
exec bin/custody serve --dir "$dir"
