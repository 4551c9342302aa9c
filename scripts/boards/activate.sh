# Makes the release $2 below the folder $1 the current one. Orders: "before DIGEST" for each line of
# the history until the switch, if it is to change, and "after DIGEST" for each from then on.
# Either link or the other, never none: mv -T is one rename(2).
set -e
cd "$1"
digest "$2"
orders
printf %s "$orders" | while IFS=$tab read -r _ name; do digest "$name"; done
[ -d "releases/$2" ]

write_history() { # replaces the history by the orders of a kind, once they are all in a file
    lines=$(printf %s "$orders" | sed -n "s/^$1$tab//p")
    printf '%s\n' "$lines" >history.new || return
    [ "$(cat history.new)" = "$lines" ] || return
    sync
    mv -T history.new history
}

case $newline$orders in *"${newline}before$tab"*) write_history before ;; esac
if [ "$(readlink current)" != "releases/$2" ]; then
    rm -f current.new
    ln -s "releases/$2" current.new
    sync
    mv -T current.new current
    sync
fi
# On a full disk the longer history stays, which serves as well.
write_history after 2>/dev/null || rm -f history.new
sync
printf 'current\t%s\n' "$(readlink current)"
