# host.sh: hosts over a root file system, sourced by the scripts that make segments with hosts on
# them.  Each host keeps its state in a folder of its own, whose lock it holds.
# shellcheck shell=bash
host_init=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/host-init.sh
lab=${TIDEGATE_LAB:-/var/tmp/tidegate-lab}
states=() inits=() host=''

# Removes the state that a run left behind which could not clean up: nobody holds its lock.
sweep() {
    local dir
    for dir in "$lab"/run/*/; do
        [ -e "$dir/lock" ] || continue
        flock -n "$dir/lock" true || continue
        drop_cgroups "$(basename "$dir")" || :
        erase "$dir"
    done
}

# erase DIR: the last mounts in it may go a moment after the process that held them.
erase() {
    until_true 10 rm -rf "$1" 2>/dev/null || echo "host.sh: cannot remove $1" >&2
}

# end_hosts: ends all hosts and removes their state.
end_hosts() {
    local init state
    for init in "${inits[@]}"; do
        kill -KILL "$init" 2>/dev/null || :
    done
    for state in "${states[@]}"; do
        until_true 5 drop_cgroups "$(basename "$state")" || :
        erase "$state"
    done
}

# make_state: makes the folder of one host; file descriptor 9 holds the first one's lock, which is
# everybody's: hosts of one script end together.
make_state() {
    local state
    mkdir -p "$lab/run"
    state=$(mktemp -d "$lab/run/lab.XXXXXXXX")
    if [ ${#states[@]} = 0 ]; then
        exec 9>"$state/lock"
        flock 9
    else
        ln "${states[0]}/lock" "$state/lock"
    fi
    states+=("$state")
}

# The process of number 1 in the host's process namespace, a child of the one that made it.
first() {
    host=$(pgrep -P "$1") && [ -e "/proc/$host/root/run/host-is-up" ]
}

# start_host ROOTFS: starts a host in the state made last and puts its process number into `host`.
# It ends with its standard input, which this script holds open.
start_host() {
    local state=${states[-1]} pipe
    mkdir "$state/upper" "$state/work" "$state/root" "$state/docker" "$state/containerd"
    # shellcheck disable=SC2034 # open as long as the script runs
    exec {pipe}> >(exec setpriv --pdeathsig KILL -- unshare --net --mount --pid --uts --ipc --fork \
        --kill-child -- "$host_init" "$state" "$1" >"$state/log" 2>&1 9>&-)
    inits+=("$!")
    until_true 10 first "${inits[-1]}" || {
        cat "$state/log" >&2
        return 1
    }
    settle "$host"
    echo "$state" >"/proc/$host/root/run/host-is-up"
}
