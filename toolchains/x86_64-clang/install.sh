#!/bin/sh
# Usage: install.sh DIR VERSION. Makes DIR/x86_64-clang/usr/bin with clang's unversioned names, the
# ones that Qualcomm's makefiles call.
set -eu
bin=$1/x86_64-clang/usr/bin
mkdir -p "$bin"
for name in clang clang++ clang-cpp; do
    [ -x "/usr/bin/$name-$2" ] || { echo "/usr/bin/$name-$2 is missing" >&2; exit 1; }
    ln -s "/usr/bin/$name-$2" "$bin/$name"
done
