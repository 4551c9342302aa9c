# Puts links into the release $1. Orders: "link PATH TARGET" where TARGET is a file of the board.
set -e
cd "$1"
orders
printf %s "$orders" | while IFS=$tab read -r _ path target; do
    plain "$path"
    plain "$target"
    [ -e "/$target" ] || refuse "no such file: /$target"
    rm -f "$path.new"
    ln -s "/$target" "$path.new"
    mv -T "$path.new" "$path"
    printf 'link\t%s\t%s\n' "$path" "$(readlink "$path")"
done
sync
