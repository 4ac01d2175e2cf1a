# Nodes in network namespaces of this machine, one cluster: for people who want to look. Sourced by
# ./x, which has the functions that are not here.
#
#   this machine 10.177.0.254 ── bridge ostler-nodes ─┬─ 10.177.0.1  n1
#                                                     ├─ 10.177.0.2  n2
#                                                     └─ …

NODES=/var/lib/ostler-nodes
NODES_MAX=9

# Runs a command at a node, e.g. `at 1 pvecm status`.
at() {
    local number=$1
    shift
    OSTLER_ROOT="$NODES/n$number" "$BIN/$1" "${@:2}"
}

node_runs() {
    [ -n "$(ip netns pids "ostler-n$1" | head -n 1)" ]
}

# The namespace of a node, with a bridge for its guests.
make_namespace() {
    local number=$1
    local name=ostler-n$number
    [ -e "/run/netns/$name" ] && return 0
    ip netns add "$name"
    ip link add "ostler-v$number" type veth peer name eth0 netns "$name"
    ip link set "ostler-v$number" master ostler-nodes up
    ip -n "$name" link set lo up
    ip -n "$name" addr add "10.177.0.$number/24" dev eth0
    ip -n "$name" link set eth0 up
    ip -n "$name" link add vmbr0 type bridge
    ip -n "$name" link set vmbr0 up
}

# /sys shows the links of the namespace that mounted it, so it is mounted again, with the control
# groups of before.
run_in_namespace() {
    local number=$1
    local folder=$NODES/n$number fresh_sys
    fresh_sys='keep=$(mktemp -d) && mount --rbind /sys/fs/cgroup "$keep" && mount -t sysfs s /sys &&
        mount --rbind "$keep" /sys/fs/cgroup && exec "$@"'
    OSTLER_ROOT=$folder setsid nsenter --net="/run/netns/ostler-n$number" \
        unshare --mount sh -c "$fresh_sys" sh "$BIN/ostler" run >>"$folder/log" 2>&1 </dev/null &
}

# Starts a node, unless it runs.
launch() {
    local number=$1
    local folder=$NODES/n$number
    mkdir -p "$folder/etc/ostler"
    cat >"$folder/etc/ostler/ostler.toml" <<CONFIG
node = "n$number"
listen = "[::]:8006"
agent-address = "10.177.0.$number:8009"
emulate = true
CONFIG
    make_namespace "$number"
    node_runs "$number" || run_in_namespace "$number"
}

answers() {
    LOG=$NODES/n$1/log wait_for "node n$1 answers" at "$1" pvesh get /version
}

is_clustered() {
    at "$1" pvecm status 2>&1 | grep -q '^Name: '
}

# Whether as many members vote as should: 1 of 1 or 2, 3 of 3 or 4, 5 from 5 on.
all_vote() {
    at 1 ostler cluster status | awk 'NR > 1 { members++; votes += $4 }
        END { exit votes != (members >= 5 ? 5 : members >= 3 ? 3 : 1) }'
}

# Starts so many nodes; those that are in no cluster yet form one, or join it.
nodes_up() {
    local count=$1 number invitation
    [[ "$count" =~ ^[1-9]$ ]] || fail "--nodes takes a number from 1 to $NODES_MAX, not '$count'"
    make_users
    install_commands "$2"
    [ -e /sys/class/net/ostler-nodes ] || ip link add ostler-nodes type bridge
    ip link set ostler-nodes up
    ip addr replace 10.177.0.254/24 dev ostler-nodes
    mkdir -p "$NODES"
    # All first: the voters of an earlier run wait for each other.
    for number in $(seq "$count"); do
        launch "$number"
    done
    for number in $(seq "$count"); do
        answers "$number"
        is_clustered "$number" && continue
        if [ "$number" = 1 ]; then
            at 1 ostler cluster create lab --link 10.177.0.1 --quiet
        else
            invitation=$(at 1 ostler cluster invite | tail -n 1)
            at "$number" ostler cluster join "${invitation##* }" --link "10.177.0.$number" >/dev/null
        fi
        echo "node n$number is in the cluster: https://10.177.0.$number:8006"
    done
    OSTLER_ROOT=$NODES/n1 make_admin
    LOG=$NODES/n1/log wait_for "the members vote" all_vote
    at 1 ostler cluster status
    cat <<UP

$count nodes on this machine, each at https://10.177.0.N:8006 (log in as admin@pve; the password is in
$PASSWORD_FILE). Commands at node N: OSTLER_ROOT=$NODES/nN pvecm status · $NODES/nN/log is its log
Next: ./x down ends them and their guests, ./x up --nodes $count brings them back
UP
}

# Ends all nodes, their etcd and their guests. What they have on disk stays.
nodes_down() {
    local name
    for name in $(ip netns list 2>/dev/null | awk '/^ostler-n[1-9]/ { print $1 }'); do
        ip netns pids "$name" | xargs -r kill 2>/dev/null || true
        wait_for "the processes of $name have ended" bash -c "[ -z \"\$(ip netns pids $name)\" ]"
        ip link del "ostler-v${name#ostler-n}" 2>/dev/null || true
        ip netns del "$name"
        echo "node ${name#ostler-} has ended, with its guests"
    done
    [ ! -e /sys/class/net/ostler-nodes ] || ip link del ostler-nodes
}
