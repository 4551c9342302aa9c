#!/bin/sh
# Build, check and hand over one model: what both CI files run.
#   WEIGHTS    folder or file with the weights     PRECISION  int8, w8a16, fp16 or mixed
#   PICTURES   folder of pictures                  OUT        where the archive and the report go
set -eu
tools=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$OUT"

make -C "$tools" --no-print-directory venv
invoke() { "$tools/.venv/bin/invoke" --search-root "$tools" "$@"; }

invoke build --weights "$WEIGHTS" --images "$PICTURES" --precision "$PRECISION" \
    --build-dir "$OUT/build" --json >"$OUT/report.json"
archive=$("$tools/.venv/bin/python" -c \
    'import json, sys; print(json.load(sys.stdin)["archive"]["path"])' <"$OUT/report.json")
invoke inspect "$archive"

# On top of $OUT: what the build keeps beside them is not for handing over.
cp "$archive" "$OUT"
cd "$OUT"
sha256sum ./*.tar.gz >SHA256SUMS
