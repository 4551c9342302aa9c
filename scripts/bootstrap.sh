#!/bin/sh
# Make .venv from the hash-pinned lock, unless it is already made from this very lock.
# Needs Python 3.11 or newer; on Debian or Ubuntu as root, installs the venv module if it is missing.
if grep -q "$(printf '\r')" "$0"; then echo "bootstrap: this copy has Windows line ends: clone it again with \`git clone -c core.autocrlf=false\`" >&2; exit 1; fi #
set -eu
cd "$(dirname "$0")/.."
lock=docker/locks/host.txt
stamp=.venv/.made-from

fail() { echo "bootstrap: $*" >&2; exit 1; }

case $(uname -s)-$(uname -m) in
Linux-x86_64) ;;
Linux-*) fail "$(uname -m) cannot run Qualcomm's x86_64 compilers: use an x86_64 Linux machine, a virtual one will do" ;;
Darwin-*) fail "macOS is not supported: use an x86_64 Linux machine, a virtual one will do" ;;
*) fail "Windows is not supported as such: use WSL 2 (\`wsl --install\`), and clone inside it" ;;
esac

python=
for candidate in python3.11 python3.12 python3.13 python3; do
    if command -v "$candidate" >/dev/null 2>&1 &&
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    here=$(python3 --version 2>/dev/null) || here="no Python"
    fail "Python 3.11 or newer is needed, here is $here (Ubuntu 22.04: apt-get install python3.11 python3.11-venv; Debian, later Ubuntu: python3)"
fi

made_from="$("$python" -c 'import sys; print(sys.version)') $(sha256sum "$lock")"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$made_from" ]; then exit 0; fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 ||
        fail "Python's venv module is missing (Debian, Ubuntu: apt-get install ${python##*/}-venv)"
    echo "bootstrap: installing ${python##*/}-venv with apt-get (it waits for other runs of apt)"
    apt-get update -qq -o DPkg::Lock::Timeout=600 &&
        apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=600 "${python##*/}-venv"
fi

echo "bootstrap: making .venv from $lock"
rm -rf .venv
"$python" -I -m venv .venv
.venv/bin/python -I scripts/pip_settings.py install --quiet --require-hashes --only-binary=:all: -r "$lock" ||
    fail "pip could not install the locked packages; its message is above"
printf '%s\n' "$made_from" >"$stamp"
