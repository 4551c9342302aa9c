# Turns the upload $2 below the folder $1 into a release, on the disk and not just in memory.
set -e
cd "$1/releases"
sync
if [ ! -d "$2" ]; then
    mv -T "$2.partial" "$2"
else
    # It was found damaged, and may be in use: it stays in place while its files are replaced.
    (cd "$2" && find . -type f) | while IFS= read -r file; do
        [ -e "$2.partial/$file" ] || rm "$2/$file"
    done
    (cd "$2.partial" && find . -type f) | while IFS= read -r file; do
        mkdir -p "$2/${file%/*}"
        # What was whole is linked here, and coreutils' mv takes no two names of one file.
        [ "$2.partial/$file" -ef "$2/$file" ] || mv "$2.partial/$file" "$2/$file"
    done
    rm -r "$2.partial"
fi
sync
