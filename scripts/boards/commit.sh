# Turns the upload $2 below the folder $1 into a release, on the disk and not just in memory.
set -e
digest "$2"
cd "$1/releases"
sync
if [ ! -d "$2" ]; then
    mv -T "$2.partial" "$2"
else
    # It was found damaged, and may be in use: it stays in place while its files are replaced.
    (cd "$2" && find . ! -type d -exec sh -c '
        upload=$1; shift
        for file; do [ -f "../$upload/$file" ] && [ ! -L "$file" ] || rm -f "$file"; done
    ' sh "$2.partial" {} +)
    (cd "$2.partial" && find . -type f) | while IFS= read -r file; do
        plain "${file#./}"
        mkdir -p "$2/${file%/*}"
        [ ! -d "$2/$file" ] || rm -rf "$2/$file"
        # What was whole is linked here, and coreutils' mv takes no two names of one file.
        [ "$2.partial/$file" -ef "$2/$file" ] || mv -T "$2.partial/$file" "$2/$file"
    done
    rm -r "$2.partial"
fi
sync
printf 'release\t%s\n' "$2"
