# What is below the folder $1 on a board: releases, the one in use, and the parts of the upload $2.
# Answers in lines of a key and values between tabs. The hash of a long part takes its time.
tab=$(printf '\t')
cd "$1" 2>/dev/null || exit 0
current=$(readlink current 2>/dev/null) && printf 'current\t%s\n' "${current##*/}"
[ -r history ] && sed "s/^/history$tab/" history
[ -r .lock.owner ] && sed "s/^/owner$tab/" .lock.owner
for release in releases/*; do
    [ -d "$release" ] || continue
    name=${release##*/}
    printf 'release\t%s\n' "$name"
    case $name in *.*) continue ;; esac
    sed "s/^\([0-9a-f]*\)  /sum$tab$name$tab\1$tab/" "$release/SHA256SUMS" 2>/dev/null
done
[ -n "$2" ] && cd "releases/$2.partial" 2>/dev/null || exit 0
# A connection that was cut may still be writing its last bytes.
exec 8>>"../.writing" && timeout 70 flock 8
find . -type f | while read -r file; do
    sum=$(sha256sum "$file")
    printf 'part\t%s\t%s\t%s\n' "$(wc -c <"$file")" "${sum%% *}" "${file#./}"
done
