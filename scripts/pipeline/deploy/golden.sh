# Runs the program $2 of the release $1 on the network $3 and the golden input; $4 may be an option
# for the program. Answers with what the program says, and last with the file that holds the output.
set -e
cd "$1"
output=$(mktemp)
timeout 300 "./$2" --context "$3" --input golden/input.raw --output "$output" --runs 10 ${4:+"$4"} ||
    { code=$?; rm -f "$output"; exit $code; }
printf '\n%s\n' "$output"
