# Appends standard input to the file $2 of the upload folder $1, which has $3 bytes so far. Without
# any it is a new one: that of the same name may be linked to a release. The lock on ../.writing, which holds
# the process id, lasts as long as bytes may still be written.
set -e
plain "$2"
cd "$1"
exec 8>>../.writing
flock -n 8 || refuse "an earlier upload still writes"
if [ "$3" = 0 ]; then
    rm -f "$2"
else
    [ "$(wc -c <"$2")" -eq "$3" ] || refuse "$2 no longer has $3 bytes"
fi
sh -c 'echo $$ >../.writing; exec cat >>"$1"' sh "$2"
