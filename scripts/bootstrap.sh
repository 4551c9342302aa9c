#!/bin/sh
# Make .venv from the hash-pinned lock, unless it is already made from this very lock.
# Needs Python 3.11 or newer; on Debian or Ubuntu as root, installs the venv module if it is missing.
set -eu
cd "$(dirname "$0")/.."
lock=docker/locks/host.txt
stamp=.venv/.made-from

fail() { echo "bootstrap: $*" >&2; exit 1; }

python=
for candidate in python3.11 python3.12 python3.13 python3; do
    if command -v "$candidate" >/dev/null 2>&1 &&
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "Python 3.11 or newer is needed (Debian, Ubuntu: apt-get install python3)"

made_from="$("$python" -c 'import sys; print(sys.version)') $(sha256sum "$lock")"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$made_from" ]; then exit 0; fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 ||
        fail "Python's venv module is missing (Debian, Ubuntu: apt-get install python3-venv)"
    echo "bootstrap: installing python3-venv with apt-get"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv
fi

echo "bootstrap: making .venv from $lock"
rm -rf .venv
"$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: -r "$lock" ||
    fail "pip could not install the locked packages; its message is above"
printf '%s\n' "$made_from" >"$stamp"
