#!/usr/bin/env bash
# world.sh [ROOTFS]: one segment with a host (over ROOTFS), a client in the office and a client
# outside, each a set of namespaces.  Prints `NAME PID` for each, then `ready`, and keeps them
# until its standard input ends, however the process at the other end went.  Without ROOTFS there
# is no host, only the clients and the segment (`wire`).
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
. "$here/lib.sh"
. "$here/addresses.sh"
rootfs=${1:-} init='' wire='' office='' outside=''
lab=${TIDEGATE_LAB:-/var/tmp/tidegate-lab}

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
    until_true 10 rm -rf "$1" 2>/dev/null || echo "world.sh: cannot remove $1" >&2
}

end() {
    local holder
    for holder in $init $wire $office $outside; do
        kill -KILL "$holder" 2>/dev/null || :
    done
    until_true 5 drop_cgroups "$(basename "$state")" || :
    erase "$state"
}

# The process of number 1 in the host's process namespace, a child of the one that made it.
first() {
    host=$(pgrep -P "$1") && [ -e "/proc/$host/root/run/host-is-up" ]
}

start_host() {
    mkdir "$state/upper" "$state/work" "$state/root" "$state/docker" "$state/containerd"
    exec 8> >(exec setpriv --pdeathsig KILL -- unshare --net --mount --pid --uts --ipc --fork \
        --kill-child -- "$here/host-init.sh" "$state" "$rootfs" >"$state/log" 2>&1 9>&-)
    init=$!
    until_true 10 first "$init" || {
        cat "$state/log" >&2
        return 1
    }
    settle "$host"
    echo "$state" >"/proc/$host/root/run/host-is-up"
}

mkdir -p "$lab/run"
sweep
state=$(mktemp -d "$lab/run/lab.XXXXXXXX")
trap end EXIT
trap 'exit 1' HUP INT TERM
exec 9>"$state/lock"
flock 9

wire wire
hold office
hold outside
plug "$wire" "$office" "$office4/24" "$office6/64"
plug "$wire" "$outside" "$outside4/24" "$outside6/64"
printf '%s %d\n' wire "$wire" office "$office" outside "$outside"
if [ -n "$rootfs" ]; then
    start_host
    plug "$wire" "$host" "$host4/24" "$host6/64"
    printf '%s %d\n' host "$host"
fi
for client in "$office" "$outside"; do # the way to containers' own addresses
    nsenter -t "$client" -n ip route add default via "$host4"
    nsenter -t "$client" -n ip route add default via "$host6"
done
echo ready
while read -r _; do :; done
