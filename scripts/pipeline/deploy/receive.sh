# Appends standard input to the file $2 of the upload folder $1.
set -e
cd "$1"
exec 8>>"../.writing"
flock 8
cat >>"$2"
