# Runs the program $2 of the release $1 on the network $3 and the golden input $5, which its option $4
# takes; $6 may be another option. Answers with what the program says, and last with the file that
# holds the output.
set -e
cd "$1"
output=$(mktemp)
timeout 300 "./$2" --context "$3" "$4" "$5" --output "$output" --runs 10 ${6:+"$6"} ||
    { code=$?; rm -f "$output"; exit $code; }
printf '\n%s\n' "$output"
