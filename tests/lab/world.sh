#!/usr/bin/env bash
# world.sh [ROOTFS]: one segment with a host (over ROOTFS), a client in the office and a client
# outside, each a set of namespaces.  Prints `NAME PID` for each, then `ready`, and keeps them
# until its standard input ends, however the process at the other end went.  Without ROOTFS there
# is no host, only the clients and the segment (`wire`).
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
. "$here/lib.sh"
. "$here/host.sh"
. "$here/addresses.sh"
rootfs=${1:-} wire='' office='' outside=''

end() {
    local holder
    for holder in $wire $office $outside; do
        kill -KILL "$holder" 2>/dev/null || :
    done
    end_hosts
}

mkdir -p "$lab/run"
sweep
trap end EXIT
trap 'exit 1' HUP INT TERM
make_state

wire wire
hold office
hold outside
plug "$wire" "$office" "$office4/24" "$office6/64"
plug "$wire" "$outside" "$outside4/24" "$outside6/64"
printf '%s %d\n' wire "$wire" office "$office" outside "$outside"
if [ -n "$rootfs" ]; then
    start_host "$rootfs"
    plug "$wire" "$host" "$host4/24" "$host6/64"
    printf '%s %d\n' host "$host"
fi
for client in "$office" "$outside"; do # the way to containers' own addresses
    nsenter -t "$client" -n ip route add default via "$host4"
    nsenter -t "$client" -n ip route add default via "$host6"
done
echo ready
while read -r _; do :; done
