# Holds the lock of the folder $1 in the name of $2 while standard input keeps coming.
set -e
mkdir -p "$1"
exec 9>>"$1/.lock"
# One that has just ended may need a moment to be gone.
if ! flock -n 9 && sleep 1 && ! flock -n 9; then
    cat "$1/.lock.owner" 2>/dev/null || echo unknown
    flock 9
fi
printf '%s\n' "$2" >"$1/.lock.owner"
echo locked
# BusyBox's timeout leaves a process behind for a second, which must not hold the lock.
while [ -n "$(timeout 60 head -c 1 9>&-)" ]; do :; done
rm -f "$1/.lock.owner"
