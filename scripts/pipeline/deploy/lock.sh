# Holds the lock of the folder $1 in the name of $2 while standard input keeps coming.
set -e
mkdir -p "$1"
exec 9>>"$1/.lock"
if ! flock -n 9; then
    cat "$1/.lock.owner" 2>/dev/null || echo unknown
    flock 9
fi
printf '%s\n' "$2" >"$1/.lock.owner"
echo locked
while [ -n "$(timeout 60 head -c 1)" ]; do :; done
rm -f "$1/.lock.owner"
