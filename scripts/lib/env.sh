# shellcheck shell=bash
# Sourced by the scripts: `prepare_environment` makes .venv in the checkout from uv.lock. Needs Python 3.11+, nothing else.
#
# Sets: root (the checkout), venv (its environment). Progress goes to stderr.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
venv=$root/.venv

# Bytecode halves the gateway's start: a machine that forbids writing it would be measured, and used, at half speed.
unset PYTHONDONTWRITEBYTECODE VIRTUAL_ENV PYTHONHOME

say() { printf '%s\n' "$*" >&2; }
die() { # die EXIT_CODE LINE...
    local code=$1
    shift
    printf '%s\n' "$@" >&2
    exit "$code"
}

# Given nothing, print the Python to use; exit 4 with what to install when there is none. AIOPS_PYTHON wins, then the one
# .venv was made with, then the quickest build of the version that comes first from 3.11 to 3.14 on this machine.
find_python() {
    local candidate first=""
    for candidate in "${AIOPS_PYTHON:-}" "$venv/bin/python" python3 python3.13 python3.12 python3.11 python3.14; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null; then
            # The real interpreter, not the environment we may be about to replace.
            first=$("$candidate" -c 'import os, sys; print(os.path.realpath(sys._base_executable))')
            break
        fi
    done
    [ -n "$first" ] || die 4 "error: no Python from 3.11 to 3.14 here" \
        "hint: Debian 12 or newer, Ubuntu 24.04 or newer: apt install python3 python3-venv" \
        "      or name one yourself: AIOPS_PYTHON=/path/to/python3.12 $0"
    if [ "$candidate" = "${AIOPS_PYTHON:-}" ] || [ "$candidate" = "$venv/bin/python" ]; then
        printf '%s\n' "$first"
        return
    fi
    "$first" "$root/scripts/lib/quickest_python.py"
}

wanted_uv() { sed -n 's/^uv==\([0-9.]*\).*/\1/p' "$root/scripts/uv-requirements.txt"; }

# Given a Python, print the path of uv in exactly the pinned version: the one on PATH, or one of our own in .tools.
find_uv() {
    local python=$1 version own
    version=$(wanted_uv)
    own=$root/.tools/uv-$version
    if [ "$(uv --version 2>/dev/null | cut -d' ' -f2)" = "$version" ]; then
        command -v uv
        return
    fi
    if [ ! -x "$own/bin/uv" ]; then
        "$python" -c 'import ensurepip, venv' 2>/dev/null || die 4 \
            "error: $python cannot make environments: its venv or ensurepip module is missing" \
            "hint: apt install python3-venv    (Debian and Ubuntu keep it in a package of its own)"
        say "Fetching uv $version, the tool that reads uv.lock"
        rm -rf "$own.new"
        "$python" -m venv "$own.new" >&2
        "$own.new/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
            -r "$root/scripts/uv-requirements.txt" >&2 || die 4 \
            "error: pip could not install uv $version" \
            "hint: the lines above are pip's; it uses the index and proxy of your pip configuration"
        mv "$own.new" "$own"
    fi
    printf '%s\n' "$own/bin/uv"
}

# pip's settings are the ones people have: uv reads only its own, so pass them on where uv has none.
use_pip_settings() {
    local python=$1 value
    if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
        value=$("$python" -m pip config get global.index-url 2>/dev/null || true)
        value=${PIP_INDEX_URL:-$value}
        [ -z "$value" ] || export UV_DEFAULT_INDEX=$value
    fi
    if [ -z "${SSL_CERT_FILE:-}" ]; then
        value=$("$python" -m pip config get global.cert 2>/dev/null || true)
        value=${PIP_CERT:-$value}
        [ -z "$value" ] || export SSL_CERT_FILE=$value
    fi
}

# Given uv and a Python, make .venv hold exactly what uv.lock says; exit 4 when the lock is stale or something cannot be had.
install_from_lock() {
    local uv=$1 python=$2 locked_index list
    export UV_PROJECT_ENVIRONMENT=$venv UV_PYTHON=$python UV_PYTHON_DOWNLOADS=never
    locked_index=$(sed -n 's/.*registry = "\([^"]*\)".*/\1/p' uv.lock | head -n 1)
    if "$uv" lock --check --offline >/dev/null 2>&1; then
        "$uv" sync --locked --all-extras --compile-bytecode >&2 || install_failed
    elif "$uv" lock --check --offline --default-index "$locked_index" >/dev/null 2>&1; then
        # The machine has a mirror of its own. uv would call the lock stale because it names another index; the
        # versions and hashes are what matters, so install these from wherever this machine gets its packages.
        list=$(mktemp)
        "$uv" export --frozen --all-extras --no-emit-project --quiet >"$list"
        [ -x "$venv/bin/python" ] || "$uv" venv --quiet --python "$python" "$venv" >&2
        "$uv" pip sync --python "$venv/bin/python" --require-hashes --index-strategy unsafe-best-match \
            --compile-bytecode "$list" >&2 || install_failed
        rm -f "$list"
        "$uv" pip install --python "$venv/bin/python" --quiet --no-deps --editable . >&2 || install_failed
    else
        die 4 "error: uv.lock does not belong to this pyproject.toml" "hint: uv lock, and commit the result"
    fi
}

install_failed() {
    die 4 "error: the environment could not be made" \
        "hint: the lines above are uv's; once the network or the index is back, run the same command again"
}

fingerprint() { # of everything the environment is made from; empty when there is no environment
    local python=$venv/bin/python
    [ -x "$python" ] || return 0
    "$python" - "$root/uv.lock" "$root/pyproject.toml" "$root" <<'PYTHON' 2>/dev/null || true
import hashlib, pathlib, sys
parts = [pathlib.Path(name).read_bytes() for name in sys.argv[1:3]] + [sys.argv[3].encode(), sys.version.encode()]
print(hashlib.sha256(b"\0".join(parts)).hexdigest())
PYTHON
}

# Make .venv what uv.lock says, once: two scripts at the same time wait for each other, a current one costs 30 ms.
prepare_environment() {
    local stamp=$venv/.made-from
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint)" ]; then
        return
    fi
    (
        set -e
        cd "$root"
        python=$(find_python)
        mkdir -p .tools
        # In a subshell, so that nothing started later inherits the lock.
        exec 9>.tools/lock
        "$python" -c 'import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("Waiting: another script is making the environment", file=sys.stderr)
    fcntl.flock(9, fcntl.LOCK_EX)'
        if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint)" ]; then
            exit 0
        fi
        say "Making the environment .venv from uv.lock with $("$python" --version) (about 550 MB, a minute or two the first time)"
        use_pip_settings "$python"
        uv=$(find_uv "$python")
        rm -f "$stamp"
        install_from_lock "$uv" "$python"
        "$venv/bin/python" -m compileall -q aiops
        fingerprint >"$stamp"
        say "The environment is ready"
    ) || exit $?
}
