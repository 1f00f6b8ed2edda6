# lib.sh: network namespaces held by processes, sourced by the lab's scripts.
# shellcheck shell=bash disable=SC2016 # the quoted scripts expand their own variables
#
# A namespace here has no name in /run/netns: a process holds it, its number names it, and it is
# gone when the process is.  Every holder is told by the kernel to die with the script that made
# it, so nothing stays behind however that script ends.

# until_true SECONDS CMD...: polls CMD every 20 ms until it succeeds.
until_true() {
    local deadline=$((SECONDS + $1 + 1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.02
    done
}

# in_own_net PID: whether process PID is in a network namespace that is not ours.
in_own_net() {
    local net
    net=$(readlink "/proc/$1/ns/net") && [ "$net" != "$(readlink /proc/self/ns/net)" ]
}

# Prints the network settings of a freshly booted machine, `KEY VALUE` a line.  A new namespace
# takes some over from the machine it is made on, forwarding and bridge filtering among them.
settings() {
    local scope
    echo net/ipv4/ip_forward 0
    for scope in all default; do
        echo "net/ipv4/conf/$scope/rp_filter 0"
        echo "net/ipv6/conf/$scope/forwarding 0"
        echo "net/ipv6/conf/$scope/disable_ipv6 0"
        echo "net/ipv6/conf/$scope/accept_dad 0" # an address is there at once
    done
    [ ! -d /proc/sys/net/bridge ] || printf '%s 0\n' net/bridge/bridge-nf-call-{ip,ip6}tables
}

# settle PID: gives a new namespace those settings.
settle() {
    settings | nsenter -t "$1" -n sh -ec 'while read -r key value; do
        echo "$value" >"/proc/sys/$key"
    done
    ip link set lo up'
}

# hold VARIABLE: makes a namespace and puts the number of its holder into VARIABLE.
hold() {
    setpriv --pdeathsig KILL -- unshare --net -- sleep infinity </dev/null >/dev/null 9>&- &
    disown
    printf -v "$1" %s $!
    until_true 5 in_own_net "$!"
    settle "$!"
}

# wire VARIABLE: makes a namespace with a switch in it, which joins what is plugged in.
wire() {
    hold "$1"
    nsenter -t "${!1}" -n sh -ec 'ip link add switch type bridge; ip link set switch up'
}

# plug WIRE PID A4 A6: gives PID an eth0 with these addresses, joined to the switch in WIRE.
plug() {
    ip link add eth0 netns "$2" type veth peer name "p$2" netns "$1"
    nsenter -t "$1" -n ip link set "p$2" master switch up
    nsenter -t "$2" -n sh -ec 'ip addr add "$1" dev eth0; ip addr add "$2" dev eth0 nodad
        ip link set eth0 up' sh "$3" "$4"
}

# drop_cgroups NAME: control groups belong to the machine itself; removes those named NAME.
drop_cgroups() {
    find /sys/fs/cgroup -depth -type d -path "*/$1*" -exec rmdir {} + 2>/dev/null
}
