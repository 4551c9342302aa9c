# Readies the upload $2 below the folder $1. Orders: "keep PATH" for what may stay of an earlier
# attempt, "drop PATH", "folder PATH", and "link FROM PATH", which saves sending what a release on
# the board already has.
set -e
digest "$2"
mkdir -p "$1/releases/$2.partial"
cd "$1/releases/$2.partial"
orders
printf %s "$orders" | while IFS=$tab read -r verb first second; do
    plain "$first"
    case $verb in
    keep | drop | folder) [ -z "$second" ] || refuse "no order: $verb" ;;
    link) plain "$second" ;;
    *) refuse "no order: $verb" ;;
    esac
done
# Names as they are, not as lines: a name may hold a newline.
find . ! -type d -exec sh -c '
    keep=$1; shift
    for file; do
        case $file in *[!A-Za-z0-9._+/-]*) rm -f "$file"; continue ;; esac
        [ -f "$file" ] && [ ! -L "$file" ] || rm -f "$file"
        case $keep in *"|$file|"*) ;; *) rm -f "$file" ;; esac
    done
' sh "|$(printf %s "$orders" | sed -n "s|^keep$tab|./|p" | tr '\n' '|')" {} +
printf %s "$orders" | while IFS=$tab read -r verb first second; do
    case $verb in
    drop) rm -f "$first" ;;
    folder) mkdir -p "$first" ;;
    link) rm -f "$second"; ln "../$first" "$second" 2>/dev/null || cp "../$first" "$second" ;;
    esac
done
