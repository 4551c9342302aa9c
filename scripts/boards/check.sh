# Hashes the release or upload folder $1. Standard input: "MODE PATH" to set first, tab between.
# Answers in lines of a key and values between tabs.
set -e
cd "$1"
tab=$(printf '\t')
while IFS=$tab read -r mode path; do
    [ ! -e "$path" ] || chmod "$mode" "$path"
done
find . -type f | sed "s|^\./|file$tab|"
[ -e SHA256SUMS ] || exit 0
sum=$(sha256sum SHA256SUMS)
printf 'sums\t%s\n' "${sum%% *}"
sha256sum -c SHA256SUMS 2>/dev/null | sed -n "s/: FAILED.*//p" | sed "s/^/bad$tab/"
