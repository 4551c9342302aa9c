# Before every script that is sent. POSIX sh; runs with coreutils and with BusyBox.
# Programs speak the language of their locale: only in this one is what they print known.
LC_ALL=C
export LC_ALL
tab=$(printf '\t')
newline='
'

refuse() { echo "$*" >&2; exit 65; }

plain() { # refuses what is not a path below the folder it is used in
    case /$1/ in */[!A-Za-z0-9_]* | *[!A-Za-z0-9._+/-]*) refuse "no name of ours: $1" ;; esac
}

digest() { # refuses what is not the name of a release
    case $1 in *[!0-9a-f]*) refuse "no release of ours: $1" ;; esac
    [ ${#1} -eq 64 ] || refuse "no release of ours: $1"
}

sum_of() { # of a file; no hash is given where it cannot be read to its end
    sum=$(sha256sum <"$1") && [ -n "$sum" ] && echo "${sum%% *}" || echo unreadable
}

orders() { # standard input, as lines; a connection that was cut gives no orders at all
    orders=$(cat)
    [ "${orders##*"$newline"}" = end ] || refuse "the orders have no end"
    orders=${orders%"end"}
}
