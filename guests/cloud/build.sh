#!/bin/sh
# Builds the cloud test guest: a Debian with cloud-init, the QEMU guest agent and an SSH server.
#
# usage: guests/cloud/build.sh OUT_DIR        makes OUT_DIR/cloud.qcow2 and prints its path
#
# The system is put together by mmdebstrap from the Debian sources of this machine's own apt, so
# it needs root and minutes. The disk has a FAT partition with syslinux and the kernel, and an ext4
# partition, for SeaBIOS. What was built once is taken from
# ${OSTLER_CACHE:-/var/cache/ostler}/guests, by the hash of this folder and of the packages'
# versions. With OSTLER_CLOUD_GUEST=cached nothing is built: only what is there is taken. Do not
# write to the image: copy it, or put an overlay on.
set -eu

fail() {
    echo "guests/cloud/build.sh: $*" >&2
    exit 1
}

[ $# -eq 1 ] || fail "usage: guests/cloud/build.sh OUT_DIR"
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" 2>/dev/null || fail "cannot make $1"
out=$(cd "$1" && pwd)/cloud.qcow2
cache=${OSTLER_CACHE:-/var/cache/ostler}/guests
mkdir -p "$cache" 2>/dev/null || fail "cannot write to $cache (set OSTLER_CACHE)"
PATH=$PATH:/usr/sbin:/sbin

packages="systemd-sysv udev dbus kmod iproute2 ifupdown isc-dhcp-client cloud-init qemu-guest-agent
    linux-image-cloud-amd64 openssh-server initramfs-tools zstd sudo"
versions=$(apt-cache policy $packages | awk '
    /^[^ ]/ { package = $1; sub(/:$/, "", package) }
    $1 == "Candidate:" && $2 != "(none)" { print package "=" $2 }')
for package in $packages; do
    echo "$versions" | grep -q "^$package=" || fail "apt does not know $package (run apt-get update)"
done
hash=$( (cat "$here/build.sh" "$here"/files/*; echo "$versions") | sha256sum | cut -c1-16)
image=$cache/cloud-$hash.qcow2

build() {
    [ "$(id -u)" = 0 ] || fail "it is built as root only"
    missing=
    for pair in mmdebstrap:mmdebstrap syslinux:syslinux mcopy:mtools mkfs.vfat:dosfstools sfdisk:fdisk \
        mkfs.ext4:e2fsprogs qemu-img:qemu-utils unshare:util-linux; do
        command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
    done
    mbr=/usr/lib/syslinux/mbr/mbr.bin
    [ -e $mbr ] || missing="$missing syslinux-common"
    if [ -n "$missing" ]; then
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null ||
            fail "cannot install$missing"
    fi
    work=$(mktemp -d "$cache/work.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM

    # The release that this machine runs, from the places that its apt fetches it from.
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' 'Origin: Debian' | sort -u > "$work/sources.list"
    suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    grep -q " $suite " "$work/sources.list" || fail "apt has no Debian source for '$suite'"
    apt-config dump Acquire | grep -i -E '^Acquire::https?::' > "$work/apt.conf" || true

    # The seed's drive must be there before systemd asks whether there is one, so the initrd has
    # the modules of CD-ROMs too. In a mount namespace of its own: whatever ends it, nothing stays
    # mounted below the folder.
    unshare --mount --propagation private mmdebstrap --quiet --variant=minbase \
        --include="$(echo $packages | tr ' ' ,)" --aptopt="$work/apt.conf" \
        --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"' \
        --essential-hook='echo MODULES=list > "$1/etc/initramfs-tools/conf.d/cloud"' \
        --essential-hook='printf "%s\n" virtio_pci virtio_blk virtio_scsi sd_mod ata_piix ahci sr_mod isofs ext4 crc32c_generic > "$1/usr/share/initramfs-tools/modules.d/cloud"' \
        --essential-hook='mkdir -p "$1/etc/cloud/cloud.cfg.d"' \
        --essential-hook="copy-in '$here/files/cloud.cfg' /etc/cloud/cloud.cfg.d" \
        --customize-hook='mv "$1/etc/cloud/cloud.cfg.d/cloud.cfg" "$1/etc/cloud/cloud.cfg.d/95_test.cfg"' \
        --customize-hook="$here/files/customize \"\$1\"" \
        "$suite" "$work/root" "$work/sources.list" >"$work/log" 2>&1 &
    child=$!
    # The shell heeds a signal only while it waits, and then nothing may work on below the folder.
    trap 'kill "$child" 2>/dev/null; wait "$child" || true; exit 1' HUP INT TERM
    wait "$child" ||
        { tail -n 20 "$work/log" >&2; fail "mmdebstrap could not make the system"; }
    trap 'exit 1' HUP INT TERM

    boot_mib=96
    used_mib=$(du -sm --apparent-size "$work/root" | cut -f1)
    root_mib=$((used_mib * 5 / 4 + 256))
    truncate -s "${boot_mib}M" "$work/boot.raw"
    mkfs.vfat -i 434c4f44 -n CLOUD "$work/boot.raw" >/dev/null
    mcopy -i "$work/boot.raw" "$(echo "$work/root/boot/vmlinuz-"*)" ::/vmlinuz
    mcopy -i "$work/boot.raw" "$(echo "$work/root/boot/initrd.img-"*)" ::/initrd
    mcopy -i "$work/boot.raw" "$here/files/syslinux.cfg" ::/
    syslinux --install "$work/boot.raw"
    rm -f "$work/root/boot/initrd.img-"*
    truncate -s "${root_mib}M" "$work/root.raw"
    mkfs.ext4 -q -F -L cloud-root -O ^has_journal -d "$work/root" "$work/root.raw"

    truncate -s "$((boot_mib + root_mib + 2))M" "$work/disk.raw"
    printf 'label: dos\nstart=1MiB, size=%dMiB, type=c, bootable\nstart=%dMiB, size=%dMiB, type=83\n' \
        $boot_mib $((boot_mib + 1)) $root_mib | sfdisk -q "$work/disk.raw"
    dd if=$mbr of="$work/disk.raw" bs=440 count=1 conv=notrunc status=none
    dd if="$work/boot.raw" of="$work/disk.raw" bs=1M seek=1 conv=notrunc,sparse status=none
    dd if="$work/root.raw" of="$work/disk.raw" bs=1M seek=$((boot_mib + 1)) conv=notrunc,sparse status=none
    qemu-img convert -f raw -O qcow2 "$work/disk.raw" "$work/cloud.qcow2"
    # Only whole images have this name, also when two builds run at once.
    mv "$work/cloud.qcow2" "$image"
}

if [ ! -e "$image" ]; then
    [ "${OSTLER_CLOUD_GUEST:-}" != cached ] || fail "it is not built yet (guests/cloud/build.sh DIR builds it)"
    build
fi
ln -sfn "$image" "$out"
echo "$out"
