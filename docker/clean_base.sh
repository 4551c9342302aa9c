#!/bin/sh
# mmdebstrap's last hook: leave nothing in the root file system $1 that comes from this machine, from
# this hour or from the archive's mirror, so that the same packages give the same bytes.
set -eu
cd "$1"
rm -rf etc/apt/sources.list etc/apt/sources.list.d/* etc/apt/preferences.d/* \
    etc/hostname etc/resolv.conf etc/machine-id etc/.pwd.lock \
    var/cache/apt/* var/cache/debconf/*-old var/cache/ldconfig var/lib/apt/lists/* \
    var/lib/dpkg/*-old var/lib/dpkg/lock* var/log/*
find etc -name '*-' -type f -delete
