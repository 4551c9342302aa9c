#!/bin/sh
# Usage: install.sh DIR. Makes the two toolchain directories that Qualcomm's makefiles look for.
#
# DIR/aarch64-gcc11 is QNN_AARCH64_UBUNTU_GCC_94: they run <it>/usr/bin/aarch64-linux-gnu-g++ and
# pass it as --sysroot, so it has the target's headers and libraries too.
# DIR/aarch64-oe-gcc11 is QNN_AARCH64_LINUX_OE_GCC_112, laid out like Qualcomm's Yocto SDK; its
# host folder has had two names.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
ubuntu=$1/aarch64-gcc11
yocto=$1/aarch64-oe-gcc11/sysroots
yocto_bin=$yocto/x86_64-qtisdk-linux/usr/bin/aarch64-oe-linux
mkdir -p "$ubuntu/usr/bin" "$yocto_bin"

grep -v '^#' "$here/tools.txt" | while read -r name program; do
    [ -x "/usr/bin/$program" ] || { echo "/usr/bin/$program is missing" >&2; exit 1; }
    ln -s "/usr/bin/$program" "$ubuntu/usr/bin/aarch64-linux-gnu-$name"
    ln -s "/usr/bin/$program" "$yocto_bin/aarch64-oe-linux-$name"
done

# libc.so is a linker script that names /usr/aarch64-linux-gnu/lib: under a --sysroot, the linker
# looks for that path below it.
ln -s /usr/aarch64-linux-gnu "$ubuntu/usr/aarch64-linux-gnu"
ln -s aarch64-linux-gnu/include "$ubuntu/usr/include"
ln -s aarch64-linux-gnu/lib "$ubuntu/usr/lib"
ln -s usr/lib "$ubuntu/lib"

ln -s x86_64-qtisdk-linux "$yocto/x86_64"
ln -s ../../aarch64-gcc11 "$yocto/armv8a-oe-linux"
