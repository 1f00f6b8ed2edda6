#!/usr/bin/env bash
# pair.sh ROOTFS: two hosts on segments of their own, `alpha` (192.168.7.1) and `beta` (192.168.8.1),
# and between them a router that is .254 on both and knows whose containers are where.  Prints `NAME
# PID` for the three, then `ready`, and keeps them until its standard input ends.
# shellcheck source-path=SCRIPTDIR disable=SC2016 # the quoted scripts expand their own variables
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
. "$here/lib.sh"
. "$here/host.sh"
rootfs=$1 router=''

end() {
    kill -KILL "$router" 2>/dev/null || :
    end_hosts
}

# attach NAME NUMBER: starts a host and joins it to the router.
attach() {
    local net="192.168.$2" six="fd00:$2:"
    make_state
    start_host "$rootfs"
    ip link add eth0 netns "$host" type veth peer name "to-$1" netns "$router"
    nsenter -t "$router" -n sh -ec 'ip addr add "$2" dev "$1"; ip addr add "$3" dev "$1" nodad
        ip link set "$1" up' sh "to-$1" "$net.254/24" "$six:254/64"
    nsenter -t "$host" -n sh -ec 'ip addr add "$1" dev eth0; ip addr add "$2" dev eth0 nodad
        ip link set eth0 up; ip route add default via "$3"; ip route add default via "$4"' \
        sh "$net.1/24" "$six:1/64" "$net.254" "$six:254"
    printf '%s %d\n' "$1" "$host"
}

mkdir -p "$lab/run"
sweep
trap end EXIT
trap 'exit 1' HUP INT TERM
hold router
nsenter -t "$router" -n sh -ec 'echo 1 >/proc/sys/net/ipv4/ip_forward
    echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
attach alpha 7
attach beta 8
printf '%s %d\n' router "$router"
nsenter -t "$router" -n sh -ec 'ip route add 172.17.0.0/16 via 192.168.7.1
    ip route add 172.18.0.0/16 via 192.168.8.1'
echo ready
while read -r _; do :; done
