#!/bin/sh
# Builds what lab nodes boot from: a root file system, kernel modules with ZFS, a kernel, an initrd.
#
# usage: lab/build.sh AGENT [--renew | --cached]     prints one line for each part, NAME=PATH
#
# AGENT is the static program that runs commands in a node. Each part lies below
# ${OSTLER_CACHE:-/var/cache/ostler}/lab under a name with the hash of all that it is made from, so
# that a change rebuilds only what follows from it. The kernel's version is chosen once and then
# kept, with its packages, since Debian's mirrors keep only the newest; updates of Debian enter
# with --renew alone. With --cached nothing is made: only what is there is taken. Parts that are
# made anew need root.
set -eu

fail() {
    echo "lab/build.sh: $*" >&2
    exit 1
}

[ $# -ge 1 ] || fail "usage: lab/build.sh AGENT [--renew | --cached]"
agent=$1
[ -x "$agent" ] || fail "no agent at $agent"
agent=$(realpath "$agent")
how=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
lab=${OSTLER_CACHE:-/var/cache/ostler}/lab
parts=$lab/parts
debs=$lab/debs
mkdir -p "$parts" "$debs" 2>/dev/null || fail "cannot write to $lab (set OSTLER_CACHE)"
PATH=$PATH:/usr/sbin:/sbin
export PATH

# One build at a time; the lock ends with the shell that has it open.
exec 9>"$lab/build.lock"
flock -n 9 || { echo "lab/build.sh: waits for another build" >&2; flock 9; }
# What a build left that was killed.
rm -rf "$lab"/work.*

# Of files, and of words, which say what version of the kernel all is for.
hash_of() {
    (echo "$pinned"; for input in "$@"; do if [ -f "$input" ]; then cat "$input"; else echo "$input"; fi; done) |
        sha256sum | cut -c1-16
}

# What is told to a person, apart from the parts on standard output. Times make slow steps visible.
say() {
    echo "lab: $*" >&2
}

need_root() {
    [ "$(id -u)" = 0 ] || fail "$1 must be made as root, once"
}

need_tools() {
    missing=
    for pair in mmdebstrap:mmdebstrap mksquashfs:squashfs-tools depmod:kmod xz:xz-utils zstd:zstd \
        busybox:busybox-static dpkg-deb:dpkg unshare:util-linux; do
        command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
    done
    [ -n "$missing" ] || return 0
    need_root "the tools$missing"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null ||
        fail "cannot install$missing"
}

# Whatever ends this shell ends the step that it waits for, and its folder goes.
child=
work=
finish() {
    status=$?
    trap - EXIT HUP INT TERM
    if [ -n "$child" ]; then
        kill "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    [ -z "$work" ] || rm -rf "$work"
    exit $status
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# Runs a step in a mount namespace of its own, so that nothing stays mounted, and shows the end of
# what it said if it fails. It is killed with this shell.
step() {
    what=$1
    shift
    setpriv --pdeathsig TERM unshare --mount --propagation private "$@" >"$work/log" 2>&1 9>&- &
    child=$!
    if ! wait "$child"; then
        tail -n 20 "$work/log" >&2
        fail "could not make $what"
    fi
    child=
}

# The Debian sources of this machine's own apt, with the component that ZFS is in.
sources() {
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' 'Origin: Debian' | sort -u |
        sed -n 's/^\(deb [^ ]* [^ ]*\) main$/\1 main contrib/p'
}
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ -n "$suite" ] || fail "this machine's Debian has no code name"

# The kernel that every part is made for: chosen once, then kept.
pin=$lab/kernel
if [ ! -s "$pin" ] || [ "$how" = --renew ]; then
    [ "$how" != --cached ] || fail "nothing is built yet"
    newest_kernel() {
        apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: linux-image-\(6[^ ]*\)$/\1/p' | head -n 1
    }
    name=$(newest_kernel)
    if [ -z "$name" ] || [ "$how" = --renew ]; then
        [ "$(id -u)" != 0 ] || apt-get update -q >/dev/null || fail "apt-get update failed"
        name=$(newest_kernel)
    fi
    [ -n "$name" ] || fail "apt does not know linux-image-amd64 (run apt-get update)"
    version=$(apt-cache policy "linux-image-$name" | sed -n 's/^ *Candidate: //p')
    # The second word dates the choice of Debian's packages: a new one makes a new root.
    echo "$name $version $(date -u +%Y%m%d%H%M%S)" >"$pin.new"
    mv "$pin.new" "$pin"
fi
read -r kernel kernel_version chosen <"$pin"
pinned="$kernel $kernel_version"

# Downloads a package, NAME or NAME=VERSION, to those that are kept.
download() {
    mkdir -p "$work/fetch"
    (cd "$work/fetch" && apt-get -q -o APT::Sandbox::User=root download "$1" >/dev/null 2>&1) || return 1
    mv "$work/fetch/"*.deb "$debs/"
}

# Fetches packages of the pinned version that are not there yet.
fetch() {
    for package in "$@"; do
        deb "$package" >/dev/null 2>&1 || download "$package=$kernel_version" ||
            fail "cannot download $package=$kernel_version (lab/build.sh AGENT --renew chooses a newer kernel)"
    done
}

# Fetches tools of the kernel's build that are not there yet. Those of a later version do, and while
# Debian signs a kernel they are the only ones.
fetch_tools() {
    for package in "$@"; do
        tool "$package" >/dev/null 2>&1 || download "$package=$kernel_version" || download "$package" ||
            fail "cannot download $package"
    done
}

deb() {
    ls "$debs/$1_$(echo "$kernel_version" | sed 's/:/%3a/')"_*.deb
}

tool() {
    deb "$1" 2>/dev/null || ls "$debs/$1"_*.deb | tail -n 1 | grep .
}

# --- ZFS: built once for each kernel by Debian's own dkms package, in a system made for it.
zfs=$parts/zfs-$kernel-$(hash_of "$here/files/build-zfs").tar
make_zfs() {
    need_root "ZFS"
    fetch "linux-headers-$kernel" "linux-headers-${kernel%-amd64}-common"
    fetch_tools linux-kbuild-6.1 linux-compiler-gcc-12-x86
    mkdir "$work/debs"
    for package in "linux-headers-$kernel" "linux-headers-${kernel%-amd64}-common" linux-kbuild-6.1 linux-compiler-gcc-12-x86; do
        cp "$(tool "$package")" "$work/debs/"
    done
    sources >"$work/sources.list"
    step "ZFS" "$here/files/build-zfs" "$work" "$kernel" "$suite"
    mv "$work/zfs.tar" "$zfs"
}

# --- Modules: the kernel's own that a node may want, and ZFS, as they lie in a root.
modules=$parts/modules-$kernel-$(hash_of "$here/modules" "$here/files/build-modules" "${zfs##*/}").sqfs
make_modules() {
    fetch "linux-image-$kernel"
    dpkg-deb -x "$(deb "linux-image-$kernel")" "$work/image"
    step "the modules" "$here/files/build-modules" "$work" "$kernel" "$zfs" "$here/modules"
    mv "$work/modules.sqfs" "$modules"
}

# --- The kernel, unpacked: it boots seconds earlier than one that unpacks itself under emulation.
vmlinux=$parts/vmlinux-$kernel
make_vmlinux() {
    fetch "linux-image-$kernel"
    dpkg-deb --fsys-tarfile "$(deb "linux-image-$kernel")" | tar -xO "./boot/vmlinuz-$kernel" >"$work/vmlinuz"
    # The boot protocol's header says where the payload lies, counted from the protected-mode code.
    setup=$(( ($(od -An -tu1 -j 497 -N 1 "$work/vmlinuz") + 1) * 512 ))
    offset=$(od -An -tu4 -j 584 -N 4 "$work/vmlinuz")
    length=$(od -An -tu4 -j 588 -N 4 "$work/vmlinuz")
    # Four bytes with the unpacked length follow the stream.
    tail -c +$((setup + offset + 1)) "$work/vmlinuz" | head -c $((length - 4)) | xz -dc >"$work/vmlinux" ||
        fail "the kernel's payload cannot be unpacked"
    mv "$work/vmlinux" "$vmlinux"
}

# --- The root file system, shared read-only by all nodes.
root=$parts/root-$(echo "$suite $chosen" | cat - "$here/packages" "$here/files/build-root" | sha256sum | cut -c1-16).sqfs
make_root() {
    need_root "the root file system"
    sources >"$work/sources.list"
    [ -s "$work/sources.list" ] || fail "apt has no Debian source for '$suite'"
    sed 's/#.*//' "$here/packages" | tr -s ' \n' ',' | sed 's/^,//; s/,$//' >"$work/packages"
    step "the root file system" "$here/files/build-root" "$work" "$suite"
    mv "$work/root.sqfs" "$root"
}

# --- The initrd: finds the parts, puts a tmpfs over them, adds the agent and the node's own files.
initrd=$parts/initrd-$( (echo "$pinned"; tar -C "$here/files" --sort=name --owner=0 --group=0 --mtime=@0 -cf - init build-initrd node; cat "$agent") | sha256sum | cut -c1-16).cpio
make_initrd() {
    fetch "linux-image-$kernel"
    dpkg-deb -x "$(deb "linux-image-$kernel")" "$work/image"
    step "the initrd" "$here/files/build-initrd" "$work" "$kernel" "$agent" "$here/files"
    mv "$work/initrd.cpio" "$initrd"
}

make() {
    name=$1 path=$2
    if [ ! -e "$path" ]; then
        [ "$how" != --cached ] || fail "the $name is not built"
        need_tools
        begun=$(date +%s)
        work=$(mktemp -d "$lab/work.XXXXXX")
        "make_$name"
        rm -rf "$work"
        work=
        say "made $name in $(($(date +%s) - begun)) s ($(du -h --apparent-size "$path" | cut -f1))"
    fi
    touch -c "$path"
    [ "$name" = zfs ] || echo "$name=$path"
}

make vmlinux "$vmlinux"
make root "$root"
[ -e "$modules" ] || make zfs "$zfs"
touch -c "$zfs"
make modules "$modules"
make initrd "$initrd"
echo "kernel=$kernel"
