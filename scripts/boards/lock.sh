# Holds the lock of the folder $1 in the name of $2 while standard input keeps coming.
set -e
mkdir -p "$1"
exec 9>>"$1/.lock"
# One that has just ended may need a moment to be gone.
if ! flock -n 9 && sleep 1 && ! flock -n 9; then
    printf 'held\t%s\n' "$(head -n 1 "$1/.lock.owner" 2>/dev/null | tr '\t' ' ')"
    flock 9
fi
# Nobody's name on a full disk: a rollback needs none.
printf '%s\n' "$2" 2>/dev/null >"$1/.lock.owner" || :
printf 'locked\t%s\n' "$2"
# BusyBox's timeout leaves a process behind for a second, which must not hold the lock.
while [ -n "$(timeout 60 head -c 1 9>&-)" ]; do :; done
rm -f "$1/.lock.owner"
