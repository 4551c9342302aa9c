# Answers with the first $2 bytes of the file $1.
head -c "$2" "$1"
