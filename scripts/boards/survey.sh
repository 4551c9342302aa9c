# What is below the folder $1 on a board: releases, the one in use, and the parts of the upload $2.
# With "mine" as $3 we hold the lock of deployments: who else still writes is a leftover.
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
# A connection that was cut may still be writing its last bytes; one that is frozen never ends.
exec 8>>../.writing
seconds=0
until [ "$3" != mine ] || flock -n 8; do
    [ $seconds = 10 ] && kill "$(cat ../.writing)"
    [ $seconds = 20 ] && exit 1
    seconds=$((seconds + 1))
    sleep 1
done
find . -type f | while read -r file; do
    sum=$(sha256sum "$file")
    printf 'part\t%s\t%s\t%s\n' "$(wc -c <"$file")" "${sum%% *}" "${file#./}"
done
