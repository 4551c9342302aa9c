# Removes the releases named on standard input from the folder $1; a half-removed one keeps no
# name that could be taken for a release.
set -e
cd "$1/releases"
while read -r name; do
    case $name in
    *.removed) ;;
    *) mv -T "$name" "$name.removed" && name=$name.removed ;;
    esac
    rm -rf "$name"
done
