# Readies the upload $2 below the folder $1. Standard input: "drop PATH", "folder PATH" and
# "link FROM PATH", with tabs between; links save sending what a release on the board already has.
# A name that is not plain is no name for a file of a package (scripts/package/rule.py): refused.
set -e
export LC_ALL=C
plain() {
    case /$1 in
    *[!A-Za-z0-9._+/-]* | *//* | */ | */[.+-]*)
        echo "$1 is no name for a file of a package." >&2
        exit 1
        ;;
    esac
}
mkdir -p "$1/releases/$2.partial"
cd "$1/releases/$2.partial"
tab=$(printf '\t')
while IFS=$tab read -r action first second; do
    [ "$action $first" = "folder ." ] || plain "$first"
    [ -z "$second" ] || plain "$second"
    case $action in
    drop) rm -f "$first" ;;
    folder) mkdir -p "$first" ;;
    link) rm -f "$second"; ln "../$first" "$second" 2>/dev/null || cp "../$first" "$second" ;;
    esac
done
