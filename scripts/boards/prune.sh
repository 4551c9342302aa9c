# Removes releases and uploads below the folder $1, never the one in use. Orders: "remove NAME".
# A half-removed one keeps no name that could be taken for a release.
set -e
cd "$1"
current=$(readlink current || :)
cd releases
orders
printf %s "$orders" | while IFS=$tab read -r _ name; do
    base=${name%.removed}
    digest "${base%.partial}"
    [ "releases/$name" != "$current" ] || refuse "in use: $name"
done
printf %s "$orders" | while IFS=$tab read -r _ name; do
    case $name in
    *.removed) ;;
    *)
        rm -rf "$name.removed"
        [ ! -e "$name" ] || mv -T "$name" "$name.removed"
        name=$name.removed
        ;;
    esac
    rm -rf "$name"
done
