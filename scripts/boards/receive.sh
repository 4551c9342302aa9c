# Appends standard input to the file $2 of the upload folder $1. The lock on ../.writing, which holds
# the process id, lasts as long as bytes may still be written.
set -e
plain "$2"
cd "$1"
exec 8>>../.writing
flock -n 8 || refuse "an earlier upload still writes"
sh -c 'echo $$ >../.writing; exec cat >>"$1"' sh "$2"
