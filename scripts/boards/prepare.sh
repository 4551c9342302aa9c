# Readies the upload $2 below the folder $1. Standard input: "drop PATH", "folder PATH" and
# "link FROM PATH", with tabs between; links save sending what a release on the board already has.
set -e
mkdir -p "$1/releases/$2.partial"
cd "$1/releases/$2.partial"
tab=$(printf '\t')
while IFS=$tab read -r action first second; do
    case $action in
    drop) rm -f "$first" ;;
    folder) mkdir -p "$first" ;;
    link) rm -f "$second"; ln "../$first" "$second" 2>/dev/null || cp "../$first" "$second" ;;
    esac
done
