# Asked of a board before anything is sent: $1 is the folder of releases, $2 the file name of the
# skel, the rest are libraries to look for. Answers in lines of a key and values between tabs.
# POSIX sh; runs with coreutils and with BusyBox.
path=$1 skel=$2
shift 2

say() { key=$1; shift; printf '%s' "$key"; printf '\t%s' "$@"; printf '\n'; }

build_id() { # the first QNN build id in clear text in a file
    { grep -a -o -E 'v[0-9]+\.[0-9]+\.[0-9]+\.[0-9]{12}' "$1" 2>/dev/null ||
        strings "$1" 2>/dev/null | grep -o -E 'v[0-9]+\.[0-9]+\.[0-9]+\.[0-9]{12}'; } | head -n 1
}

glibc() {
    set -- "$(getconf GNU_LIBC_VERSION 2>/dev/null)"
    [ -n "$1" ] && { echo "${1##* }"; return; }
    for file in /lib/libc.so.6 /lib64/libc.so.6 /usr/lib/libc.so.6 /lib/*/libc.so.6; do
        [ -r "$file" ] && grep -a -o 'GNU C Library.* version [0-9.]*[0-9]' "$file" 2>/dev/null |
            sed 's/.* //' && return
    done
}

folders() { # of shared libraries
    echo "${LD_LIBRARY_PATH:-}" | tr ':' '\n'
    for folder in /lib /usr/lib /lib64 /usr/lib64 /usr/local/lib /lib/*-linux-gnu* \
        /usr/lib/*-linux-gnu* /vendor/lib64; do
        echo "$folder"
    done
}

say arch "$(uname -m)"
[ -r /sys/devices/soc0/machine ] && say soc "$(cat /sys/devices/soc0/machine)"
tree=/sys/firmware/devicetree/base
[ -r $tree/compatible ] && tr '\0' '\n' <$tree/compatible | while read -r name; do
    say soc "${name#*,}"
done
[ -r $tree/model ] && say model "$(tr -d '\0' <$tree/model)"
say glibc "$(glibc)"

existing=$path
while [ ! -e "$existing" ]; do existing=$(dirname "$existing"); done
say free_kb "$(df -Pk "$existing" | tail -n 1 | { read -r _ _ _ free _; echo "$free"; })"
# Only a trial shows a mount that is read-only or noexec. It takes no block of the disk.
if [ -n "$skel" ]; then
    if trial=$(mktemp -d "$existing/.trial.XXXXXX" 2>&1); then
        trap 'rm -rf "$trial"' EXIT
        say writable yes
        : >"$trial/run" && chmod 755 "$trial/run" && "$trial/run" 2>/dev/null && say executable yes
    else
        say unwritable "$(printf %s "$trial" | tr '\t\n' '  ')"
    fi
fi

known=$(ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null)
for library in "$@"; do
    printf '%s\n' "$known" | sed -n "s|^$tab\($library\) (.*=> \(/.*\)|library$tab\1$tab\2|p
s|^$tab\($library\.[^ ]*\) (.*=> \(/.*\)|library$tab\1$tab\2|p"
    folders | while read -r folder; do
        for file in "$folder/$library" "$folder/$library".*; do
            [ -e "$file" ] && say library "${file##*/}" "$file"
        done
    done
done

for node in /dev/fastrpc-cdsp* /dev/adsprpc-smd*; do
    [ -e "$node" ] || continue
    if [ -r "$node" ] && [ -w "$node" ]; then say node "$node"; else say denied "$node"; fi
done

[ -n "${DSP_LIBRARY_PATH:-}" ] && say search DSP_LIBRARY_PATH "$DSP_LIBRARY_PATH"
[ -n "${ADSP_LIBRARY_PATH:-}" ] && say search ADSP_LIBRARY_PATH "$ADSP_LIBRARY_PATH"
found() { [ -r "$1" ] && say skel "$1" "$(build_id "$1")" "$2"; }
echo "${DSP_LIBRARY_PATH:-}" | tr ';' '\n' | while read -r folder; do
    found "$folder/$skel" DSP_LIBRARY_PATH
done
echo "${ADSP_LIBRARY_PATH:-}" | tr ';' '\n' | while read -r folder; do
    found "$folder/$skel" ADSP_LIBRARY_PATH
done
for folder in /usr/lib/rfsa/adsp /usr/lib/dsp /usr/lib/dsp/cdsp /usr/lib/dsp/cdsp1 /dsp /dsp/cdsp \
    /usr/share/qcom/*/*/*/dsp/cdsp; do
    found "$folder/$skel" ""
done

for command in cat chmod cp df find flock head ln mkdir mktemp mv readlink rm sed sha256sum sleep \
    sync timeout tr wc; do
    command -v "$command" >/dev/null || say missing "$command"
done
mv --help 2>&1 | grep -q -e '-T' || say missing "mv -T"
exit 0
