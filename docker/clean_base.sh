#!/bin/sh
# mmdebstrap's last hook: leave nothing in the root file system $1 that comes from this machine, from
# this hour or from the archive's mirror, so that the same packages give the same bytes; and nothing
# large that no stage uses.
set -eu
cd "$1"
rm -rf etc/apt/sources.list etc/apt/sources.list.d/* etc/apt/preferences.d/* \
    etc/hostname etc/resolv.conf etc/machine-id etc/.pwd.lock \
    var/cache/apt/* var/cache/debconf/*-old var/cache/ldconfig var/lib/apt/lists/* \
    var/lib/dpkg/*-old var/lib/dpkg/lock* var/log/*
find etc -name '*-' -type f -delete
# Perl was for the packages' own scripts; its smallest part stays. clang's library for editors, GCC's
# dump of its own intermediate files, conversions between character sets, 32-bit libraries, and the
# sanitizers of a GCC that is not the one in use.
rm -rf usr/lib/x86_64-linux-gnu/perl usr/share/perl usr/lib/x86_64-linux-gnu/libperl.so.* \
    usr/lib/x86_64-linux-gnu/libclang-14.so* usr/lib/llvm-14/lib/libclang*.so.1 \
    usr/bin/aarch64-linux-gnu-lto-dump-11 usr/lib/x86_64-linux-gnu/gconv \
    usr/lib32/* lib/ld-linux.so.2 usr/lib/llvm-14/lib/clang/*/lib/linux/*i386* \
    usr/lib/x86_64-linux-gnu/libgprofng.so* usr/lib/x86_64-linux-gnu/lib*san.so* \
    usr/lib/gcc/x86_64-linux-gnu/*/lib*san*
