#!/usr/bin/env bash
# Change the routing strategy, measured before and after. The same as `aiops route STRATEGY`: arguments and exit code
# are its own.
set -euo pipefail
aiops=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd -P)/.venv/bin/aiops
if [ ! -x "$aiops" ]; then
    printf '%s\n' "error: $aiops is not there" "hint: scripts/quickstart makes the environment" >&2
    exit 4
fi
exec "$aiops" route "$@"
