#!/usr/bin/env bash
# boot.sh WIRE ROOTFS: a machine with systemd over ROOTFS, joined to the switch in namespace WIRE as
# the lab's host.  Prints `script PID`, `root PATH` (its disk, as process PID sees it) and `ready`.
# Each line on standard input boots it: the answer is `machine PID` when its process 1 runs, `off`
# when it went down, and `machine PID` again when it went down to come up anew.  Its disk stays from
# boot to boot; netfilter starts empty, as it does on a real machine, because each boot has a new
# network namespace.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
. "$here/lib.sh"
. "$here/addresses.sh"
wire=$1 rootfs=$2 nspawn='' group=''
mac=02:00:00:00:00:01 # the clients know it from boot to boot
lab=${TIDEGATE_LAB:-/var/tmp/tidegate-lab}

# The disk is mounted where nobody else sees it.
if [ -z "${BOOT_SH_APART:-}" ]; then
    BOOT_SH_APART=1 exec unshare --mount --propagation private -- "$0" "$@"
fi

end() {
    [ -z "$nspawn" ] || { disown "$nspawn" && kill -KILL "$nspawn"; } 2>/dev/null || :
    leave_cgroup
    until_true 5 umount "$state/root" 2>/dev/null || umount -l "$state/root" || :
    until_true 10 rm -rf "$state" 2>/dev/null || echo "boot.sh: cannot remove $state" >&2
}

# nspawn makes control groups under its own, so that gets a name of ours.
unified=/sys/fs/cgroup/unified
[ -d $unified ] || unified=/sys/fs/cgroup
join_cgroup() {
    group=$unified/$(basename "$state")
    mkdir "$group"
    echo $$ >"$group/cgroup.procs"
}
leave_cgroup() {
    [ -n "$group" ] || return 0
    echo $$ >"$unified/cgroup.procs"
    until_true 5 drop_cgroups "$(basename "$state")" || :
}

# Nothing that a boot would wait for, or that would ask the network for something.
trim() {
    local unit
    for unit in systemd-timesyncd.service apt-daily.timer apt-daily-upgrade.timer \
        e2scrub_reap.service fstrim.timer dpkg-db-backup.timer; do
        ln -sf /dev/null "$state/root/etc/systemd/system/$unit"
    done
    # A new namespace takes settings over from the machine below; a real kernel starts with these.
    settings | sed 's/ / = /' >"$state/root/etc/sysctl.d/00-fresh.conf"
    : >"$state/root/etc/machine-id"
    echo machine >"$state/root/etc/hostname"
}

# Process 1 of the machine: nspawn's only child that has number 1 in its own namespace.
first() {
    local pid below
    below=$(pgrep -P "$nspawn") || return
    for pid in $(pgrep -P "$below"); do
        if [ "$(awk '/^NSpid:/ { print $NF }' "/proc/$pid/status" 2>/dev/null)" = 1 ] &&
            [ "$(cat "/proc/$pid/comm")" = systemd ]; then
            machine=$pid
            return
        fi
    done
    return 1
}

# Waits for the machine to go down, and for the end of our input, which ends it.  Fails when the
# machine went down for good, and not to be booted anew: 133 is how nspawn asks for that.
until_over() {
    local status
    while kill -0 "$nspawn" 2>/dev/null; do
        status=0
        read -r -t 0.1 _ || status=$?
        [ "$status" = 0 ] || [ "$status" -gt 128 ] || exit # above 128: no line in time
    done
    status=0
    wait "$nspawn" || status=$?
    nspawn=''
    [ "$status" = 133 ]
}

# systemd is not process 1 of the machine that this runs on: nothing to register with, no unit, and
# no delegated control groups but the unified ones.  A killed nspawn leaves its machine running, so
# both are in a process namespace that dies as one.
boot() {
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 setpriv --pdeathsig KILL -- \
        unshare --pid --fork --kill-child --mount-proc -- systemd-nspawn --quiet \
        --directory="$state/root" --machine="lab-$$" --register=no --keep-unit \
        --private-network --capability=all --system-call-filter='@keyring bpf' --console=pipe \
        --bind="$state/docker:/var/lib/docker" --bind="$state/containerd:/var/lib/containerd" \
        --boot </dev/null >>"$state/console" 2>&1 9>&- &
    nspawn=$!
    until_true 20 first || {
        tail -n 20 "$state/console" >&2
        exit 1
    }
    plug "$wire" "$machine" "$host4/24" "$host6/64" "$mac"
    echo "machine $machine"
    until_over
}

mkdir -p "$lab/run"
state=$(mktemp -d "$lab/run/lab.XXXXXXXX")
trap end EXIT
trap 'exit 1' HUP INT TERM
exec 9>"$state/lock"
flock 9
mount -t tmpfs run /run # nspawn leaves things there
join_cgroup
mkdir "$state/upper" "$state/work" "$state/root" "$state/docker" "$state/containerd"
mount -t overlay -o "lowerdir=$rootfs,upperdir=$state/upper,workdir=$state/work" \
    machine "$state/root"
trim
echo "script $$"
echo "root $state/root"
echo ready
while read -r _; do
    while boot; do :; done
    echo off
done
