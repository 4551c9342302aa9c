# What is below the folder $1 on a board: releases, the one in use, and the parts of the upload $2.
# With "mine" as $3 we hold the lock of deployments: who else still writes is a leftover.
# Answers in lines of a key and values between tabs. The hash of a long part takes its time.
# What is not named as ours is named is not ours, and not spoken of.
[ -z "$2" ] || digest "$2"
cd "$1" 2>/dev/null || exit 0
[ -L current ] && printf 'current\t%s\n' "$(readlink current)"
[ -e current ] && [ ! -L current ] && printf 'current\t\n'
[ -r history ] && sed -n "s/^\([0-9a-f]\{64\}\)$/history$tab\1/p" history
[ -r .lock.owner ] && printf 'owner\t%s\n' "$(head -n 1 .lock.owner | tr '\t' ' ')"
for release in releases/*; do
    [ -d "$release" ] && [ ! -L "$release" ] || continue
    name=${release##*/}
    base=${name%.removed}
    base=${base%.partial}
    case $base in *[!0-9a-f]*) continue ;; esac
    [ ${#base} -eq 64 ] || continue
    printf 'release\t%s\n' "$name"
    [ "$name" = "$base" ] || continue
    sed -n "s|^\([0-9a-f]\{64\}\)  \([A-Za-z0-9._+/-]*\)\$|sum$tab$name$tab\1$tab\2|p" \
        "$release/SHA256SUMS" 2>/dev/null
done
[ -n "$2" ] && cd "releases/$2.partial" 2>/dev/null || exit 0
# A connection that was cut may still be writing its last bytes; one that is frozen never ends.
exec 8>>../.writing
seconds=0
until [ "$3" != mine ] || flock -n 8; do
    writer=$(cat ../.writing)
    case $writer in '' | *[!0-9]*) ;; *) [ $seconds = 10 ] && kill "$writer" ;; esac
    [ $seconds = 20 ] && refuse "process $writer still writes to the upload, and cannot be ended"
    seconds=$((seconds + 1))
    sleep 1
done
find . -type f | while IFS= read -r file; do
    # Others are not ours, and dropped before anything is sent.
    case $file in ./*) ;; *) continue ;; esac
    case $file in *[!A-Za-z0-9._+/-]*) continue ;; esac
    [ -f "$file" ] || continue
    printf 'part\t%s\t%s\t%s\n' "$(wc -c <"$file")" "$(sum_of "$file")" "${file#./}"
done
exit 0
