# Runs a program of the release $1: $2 is its path, $3 the network, $4 the option that takes the
# golden input $5, the rest are further options. Answers with the number of bytes it says, those
# bytes, and its output; of several, one after another by their names. What hangs is ended.
set -e
cd "$1"
program=$2 network=$3 takes=$4 input=$5
shift 5
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
timeout 300 "./$program" --context "$network" "$takes" "$input" --output "$folder/output" "$@" \
    >"$folder/said"
printf 'said\t%s\n' "$(wc -c <"$folder/said")"
cat "$folder/said"
if [ -d "$folder/output" ]; then
    LC_ALL=C
    cat "$folder/output"/*
else
    cat "$folder/output"
fi
