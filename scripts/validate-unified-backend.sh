#!/usr/bin/env bash
# Prove what the gateway serves. The same as `aiops verify`: arguments and exit code are its own.
set -euo pipefail
aiops=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd -P)/.venv/bin/aiops
if [ ! -x "$aiops" ]; then
    printf '%s\n' "error: $aiops is not there" "hint: scripts/quickstart makes the environment" >&2
    exit 4
fi
exec "$aiops" verify "$@"
