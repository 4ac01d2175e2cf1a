#!/bin/sh
# Provides the etcd that clusters and tests use: upstream's, built from etcd/go.mod.
#
# usage: etcd/build.sh OUT_DIR        makes the link OUT_DIR/etcd and prints its path
#
# It is built once, into ${OSTLER_CACHE:-/var/cache/ostler}/tools, for each content of this folder
# and each version of Go. Without a Go that can build it (Debian 12's cannot), the link leads to
# Debian's etcd 3.4, taken from its package: installing that would start a service.
set -eu

fail() {
    echo "etcd/build.sh: $*" >&2
    exit 1
}

[ $# -eq 1 ] || fail "usage: etcd/build.sh OUT_DIR"
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" 2>/dev/null || fail "cannot make $1"
out=$(cd "$1" && pwd)/etcd
tools=${OSTLER_CACHE:-/var/cache/ostler}/tools

has_go() {
    command -v go >/dev/null || return 1
    needed=$(sed -n 's/^go 1\.\([0-9]*\).*/\1/p' "$here/go.mod")
    minor=$(go env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
    [ "${minor:-0}" -ge "$needed" ]
}

# Prints the path of upstream's etcd, and builds it if it is not there.
upstream() {
    hash=$( (cat "$here/build.sh" "$here/main.go" "$here/go.mod" "$here/go.sum"; go env GOVERSION) |
        sha256sum | cut -c1-16)
    folder=$tools/etcd-$hash
    if [ ! -x "$folder/etcd" ]; then
        mkdir -p "$folder" || return 1
        echo "building etcd: once, two minutes" >&2
        (cd "$here" && CGO_ENABLED=0 GOFLAGS='-mod=readonly -buildvcs=false -trimpath' \
            go build -ldflags='-s -w' -o "$folder/etcd.$$" .) >&2 || return 1
        # Only a whole program has this name, also when two builds run at once.
        mv "$folder/etcd.$$" "$folder/etcd"
    fi
    echo "$folder/etcd"
}

# Prints the path of Debian's etcd, and downloads it if it is not there.
debians() {
    folder=$tools/etcd-debian
    if [ ! -x "$folder/etcd" ]; then
        work=$(mktemp -d)
        (cd "$work" && apt-get -q -o APT::Sandbox::User=root download etcd-server >/dev/null) ||
            fail "cannot download etcd-server (run apt-get update), or install Go as etcd/go.mod requires"
        dpkg-deb -x "$work"/*.deb "$work/package" || fail "cannot unpack etcd-server"
        mkdir -p "$folder"
        mv "$work/package/usr/bin/etcd" "$folder/etcd"
        rm -rf "$work"
    fi
    echo "$folder/etcd"
}

if has_go; then
    program=$(upstream) || fail "etcd cannot be built"
else
    program=$(debians) || exit 1
fi
ln -sfn "$program" "$out"
echo "$out"
