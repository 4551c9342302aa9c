# Hashes the release or upload folder $1. Orders: "mode MODE PATH" to set first, "file PATH" to hash,
# "link PATH" for a link that may be there. Answers with the hash of each file, with where the links
# lead, and with everything that is there.
set -e
cd "$1"
orders
printf %s "$orders" | while IFS=$tab read -r verb first second; do
    case $verb in
    mode)
        plain "$second"
        case $first in 0644 | 0755) ;; *) refuse "no mode of ours: $first" ;; esac
        [ -L "$second" ] || [ ! -f "$second" ] || chmod "$first" "$second"
        ;;
    file | link) plain "$first" ;;
    *) refuse "no order: $verb" ;;
    esac
done
printf %s "$orders" | while IFS=$tab read -r verb path _; do
    case $verb in
    file) [ -L "$path" ] || [ ! -f "$path" ] || printf 'sum\t%s\t%s\n' "$(sum_of "$path")" "$path" ;;
    link) [ ! -L "$path" ] || printf 'link\t%s\t%s\n' "$path" "$(readlink "$path")" ;;
    esac
done
# The rest of a name that holds a newline is a line of its own, and made no path of ours.
find . ! -type d | tr '\t' '?' | sed "s|^\./|there$tab|; t
s|^|there$tab/|"
