#!/bin/sh
# Builds the tiny test guest: a disk that boots to a shell on its serial port in seconds.
#
# usage: guests/tiny/build.sh OUT_DIR        makes OUT_DIR/tiny.qcow2 and prints its path
#
# A Debian cloud kernel, a busybox, the QEMU guest agent and a FAT file system with syslinux, for
# SeaBIOS and UEFI. No loop devices and no root, but for installing tools that are missing. What
# was built once is taken from ${OSTLER_CACHE:-/var/cache/ostler}/guests, by the hash of this
# folder and of the packages' versions. Do not write to the image: copy it, or put an overlay on.
set -eu

fail() {
    echo "guests/tiny/build.sh: $*" >&2
    exit 1
}

[ $# -eq 1 ] || fail "usage: guests/tiny/build.sh OUT_DIR"
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" 2>/dev/null || fail "cannot make $1"
out=$(cd "$1" && pwd)/tiny.qcow2
cache=${OSTLER_CACHE:-/var/cache/ostler}/guests
downloads=$cache/downloads
mkdir -p "$downloads" 2>/dev/null || fail "cannot write to $cache (set OSTLER_CACHE)"

packages="qemu-guest-agent syslinux-efi syslinux-common libglib2.0-0 libnuma1 libudev1 liburing2 libpcre2-8-0 libc6 busybox-static"
kernel=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-6\)/\1/p' | head -n 1)
[ -n "$kernel" ] || fail "apt does not know linux-image-cloud-amd64 (run apt-get update)"
# One question for all of them, since apt takes its time for each.
versions=$(apt-cache policy $kernel $packages | awk '
    /^[^ ]/ { package = $1; sub(/:$/, "", package) }
    $1 == "Candidate:" && $2 != "(none)" { print package "=" $2 }')
for package in $kernel $packages; do
    echo "$versions" | grep -q "^$package=" || fail "apt does not know $package (run apt-get update)"
done
hash=$( (cat "$here/build.sh" "$here"/files/*; echo "$versions") | sha256sum | cut -c1-16)
image=$cache/tiny-$hash.qcow2

if [ ! -e "$image" ]; then
    missing=
    for pair in syslinux:syslinux mcopy:mtools mkfs.vfat:dosfstools qemu-img:qemu-utils dpkg-deb:dpkg busybox:busybox-static; do
        PATH=$PATH:/sbin:/usr/sbin command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
    done
    if [ -n "$missing" ]; then
        [ "$(id -u)" = 0 ] || fail "missing:$missing (apt-get install them as root)"
        apt-get install -y -q $missing >/dev/null || fail "cannot install$missing"
    fi
    work=$(mktemp -d "$cache/work.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/packages" "$work/root" "$work/debs"

    for pair in $versions; do
        package=${pair%%=*}
        escaped=$(echo "${pair#*=}" | sed 's/:/%3a/')
        deb=$downloads/${package}_${escaped}_amd64.deb
        if [ ! -e "$deb" ] && [ ! -e "${deb%_amd64.deb}_all.deb" ]; then
            (cd "$work/debs" && apt-get -q -o APT::Sandbox::User=root download "$pair" >/dev/null) ||
                fail "cannot download $pair"
            mv "$work/debs/"*.deb "$downloads/"
        fi
        [ -e "$deb" ] || deb=${deb%_amd64.deb}_all.deb
        dpkg-deb -x "$deb" "$work/packages" || fail "cannot unpack $deb"
    done

    # The modules that the guest needs and those that they need, in the order of loading.
    tree=$(echo "$work/packages/lib/modules/"*)
    release=${tree##*/}
    busybox depmod -b "$work/packages" "$release"
    wanted="virtio_pci virtio_blk virtio_scsi virtio_net virtio_console virtio-rng virtio_balloon
        sd_mod sr_mod ata_piix button evdev isofs vfat nls_cp437 nls_ascii virtiofs"
    mkdir "$work/root/modules"
    load() {
        line=$(grep -m1 "/$1\.ko:" "$tree/modules.dep") || return 0
        for needed in ${line#*:}; do
            needed=${needed##*/}
            grep -qx "$needed" "$work/root/modules/order" || load "${needed%.ko}"
        done
        grep -qx "$1.ko" "$work/root/modules/order" && return 0
        line=$(grep -m1 "/$1\.ko:" "$tree/modules.dep")
        file=${line%%:*}
        # Relative to the tree, or from the root, as busybox versions differ.
        [ -e "$tree/$file" ] && cp "$tree/$file" "$work/root/modules/" ||
            cp "$work/packages/$file" "$work/root/modules/"
        echo "$1.ko" >> "$work/root/modules/order"
    }
    : > "$work/root/modules/order"
    for module in $wanted; do load "$module"; done

    cd "$work/root"
    mkdir -p bin sbin lib/tiny lib64 etc/acpi/PWRF dev proc sys
    cp "$work/packages/bin/busybox" bin/busybox
    cp "$work/packages/usr/sbin/qemu-ga" sbin/qemu-ga
    install -m 755 "$here/files/init" init
    install -m 755 "$here/files/dhcp" "$here/files/nocloud" lib/tiny/
    install -m 755 "$here/files/shutdown" sbin/shutdown
    install -m 755 "$here/files/shutdown" etc/acpi/PWRF/00000080
    libraries=$work/packages
    for name in libudev.so.1 libnuma.so.1 liburing.so.2 libglib-2.0.so.0 libgmodule-2.0.so.0 \
        libm.so.6 libc.so.6 libpcre2-8.so.0; do
        found=$(find "$libraries/lib" "$libraries/usr/lib" -path '*x86_64-linux-gnu*' -name "$name" | head -n 1)
        [ -n "$found" ] || fail "no $name in the packages"
        cp -L "$found" "lib/$name"
    done
    cp -L "$libraries/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" lib64/
    printf 'root::0:0:root:/root:/bin/sh\n' > etc/passwd
    printf 'root:x:0:\n' > etc/group
    printf 'ID=tiny\nNAME="Ostler tiny guest"\nPRETTY_NAME="Ostler tiny guest"\nVERSION_ID="1"\n' > etc/os-release
    find . -exec touch -h -d @0 {} +
    find . | LC_ALL=C sort | busybox cpio -o -H newc 2>/dev/null | gzip -9n > "$work/initrd.gz"

    cd "$work"
    kernel_file=$(echo "$work/packages/boot/vmlinuz-"*)
    size=$(( ($(stat -c %s "$kernel_file") + $(stat -c %s initrd.gz)) / 1024 + 2048 ))
    PATH=$PATH:/sbin:/usr/sbin mkfs.vfat -C -i 54494e59 -n TINY disk.raw "$size" >/dev/null
    mcopy -i disk.raw "$kernel_file" ::/vmlinuz
    mcopy -i disk.raw initrd.gz "$here/files/syslinux.cfg" ::/
    mmd -i disk.raw ::/EFI ::/EFI/BOOT
    mcopy -i disk.raw packages/usr/lib/SYSLINUX.EFI/efi64/syslinux.efi ::/EFI/BOOT/BOOTX64.EFI
    mcopy -i disk.raw packages/usr/lib/syslinux/modules/efi64/ldlinux.e64 ::/EFI/BOOT/
    mcopy -i disk.raw "$here/files/syslinux.cfg" ::/EFI/BOOT/
    syslinux --install disk.raw
    qemu-img convert -c -f raw -O qcow2 disk.raw "$work/tiny.qcow2"
    # Only whole images have this name, also when two builds run at once.
    mv "$work/tiny.qcow2" "$image"
fi
ln -sfn "$image" "$out"
echo "$out"
