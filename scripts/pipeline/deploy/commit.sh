# Turns the upload $2 below the folder $1 into a release, on the disk and not just in memory.
set -e
cd "$1/releases"
sync
# Only a release found damaged is uploaded again; its place is needed.
[ -d "$2" ] && mv -T "$2" "$2.$$.removed"
mv -T "$2.partial" "$2"
sync
