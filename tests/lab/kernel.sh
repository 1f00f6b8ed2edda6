#!/usr/bin/env bash
# kernel.sh WIRE ROOTFS: a machine with a kernel of its own over ROOTFS (variant `kernel`), emulated by
# qemu and joined to the switch in namespace WIRE as the lab's host.  Prints `script PID`, `root PATH`
# (its disk before the first boot, as process PID sees it), `agent PATH` (a socket) and `ready`.
# Each line on standard input is put on the kernel's command line and switches it on: the answer is
# `machine PID`, and `off` when it went down.  It reboots by itself.
#
# The agent says `hello BOOT-ID` when a boot has come to it, takes scripts in hexadecimal, one a line,
# and ends what each has printed with `--done STATUS`.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
. "$here/lib.sh"
. "$here/addresses.sh"
wire=$1 rootfs=$2 qemu=''
mac=02:00:00:00:00:01 # the clients know it from boot to boot
lab=${TIDEGATE_LAB:-/var/tmp/tidegate-lab}

# The disk is mounted where nobody else sees it.
if [ -z "${KERNEL_SH_APART:-}" ]; then
    KERNEL_SH_APART=1 exec unshare --mount --propagation private -- "$0" "$@"
fi

end() {
    [ -z "$qemu" ] || kill -KILL "$qemu" 2>/dev/null || :
    umount "$state/root" 2>/dev/null || :
    until_true 10 rm -rf "$state" 2>/dev/null || echo "kernel.sh: cannot remove $state" >&2
}

furnish() {
    local unit etc=$state/root/etc
    for unit in systemd-timesyncd.service apt-daily.timer apt-daily-upgrade.timer e2scrub_reap.service \
        fstrim.timer dpkg-db-backup.timer systemd-networkd-wait-online.service; do
        ln -sf /dev/null "$etc/systemd/system/$unit"
    done
    : >"$etc/machine-id"
    echo machine >"$etc/hostname"
    mkdir -p "$etc/systemd/system/multi-user.target.wants"
    for unit in systemd-networkd lab-agent; do
        ln -sf "/lib/systemd/system/$unit.service" "$etc/systemd/system/multi-user.target.wants/"
    done
    cat >"$etc/systemd/network/eth0.network" <<NETWORK
[Match]
Name=eth0
[Network]
Address=$host4/24
Address=$host6/64
LinkLocalAddressing=no
IPv6AcceptRA=no
NETWORK
    cat >"$state/root/lib/systemd/system/lab-agent.service" <<'UNIT'
[Service]
ExecStart=/usr/local/sbin/lab-agent
UNIT
    cat >"$state/root/usr/local/sbin/lab-agent" <<'AGENT'
#!/bin/sh
until [ -e /dev/virtio-ports/lab ]; do sleep 0.1; done
exec <>/dev/virtio-ports/lab >&0 2>&1
echo "hello $(cat /proc/sys/kernel/random/boot_id)"
while read -r script; do
    status=0
    echo "$script" | busybox xxd -r -p >/run/lab-script
    sh -e /run/lab-script </dev/null || status=$?
    printf '\n--done %d\n' "$status"
done
AGENT
    chmod 755 "$state/root/usr/local/sbin/lab-agent"
}

# Made when it is first switched on: until then others may write to the disk.
make_image() {
    [ ! -e "$state/disk" ] || return 0
    truncate -s 3G "$state/disk"
    mkfs.ext4 -q -F -O ^has_journal -d "$state/root" "$state/disk"
}

# Waits for the machine to go down, and for the end of our input, which ends it.
until_over() {
    local status
    while kill -0 "$qemu" 2>/dev/null; do
        status=0
        read -r -t 0.1 _ || status=$?
        [ "$status" = 0 ] || [ "$status" -gt 128 ] || exit # above 128: no line in time
    done
}

# Without virtualization by the processor, which few machines of a CI offer.
boot() {
    local line='root=/dev/vda rw console=ttyS0 quiet systemd.show_status=0 net.ifnames=0'
    line="$line mitigations=off apparmor=0 $1"
    make_image
    setpriv --pdeathsig KILL -- nsenter -t "$wire" -n qemu-system-x86_64 \
        -accel tcg,thread=multi -cpu max -smp 2 -m 2048 -nodefaults -display none -no-user-config \
        -kernel "$rootfs"/boot/vmlinuz-* -initrd "$rootfs"/boot/initrd.img-* -append "$line" \
        -drive "file=$state/disk,if=virtio,format=raw,cache=unsafe" -device virtio-rng-pci \
        -netdev tap,id=net,ifname=machine,script=no,downscript=no \
        -device "virtio-net-pci,netdev=net,mac=$mac" -device virtio-serial-pci \
        -chardev "socket,id=lab,path=$state/agent,server=on,wait=off" \
        -device virtserialport,chardev=lab,name=lab \
        -serial "file:$state/console" </dev/null >>"$state/log" 2>&1 9>&- &
    qemu=$!
    disown
    until_true 20 nsenter -t "$wire" -n ip link set machine master switch up 2>/dev/null || {
        cat "$state/log" >&2
        exit 1
    }
    echo "machine $qemu"
    until_over
    qemu=''
    echo off
}

mkdir -p "$lab/run"
state=$(mktemp -d "$lab/run/lab.XXXXXXXX")
trap end EXIT
trap 'exit 1' HUP INT TERM
exec 9>"$state/lock"
flock 9
mkdir "$state/upper" "$state/work" "$state/root"
mount -t overlay -o "lowerdir=$rootfs,upperdir=$state/upper,workdir=$state/work" \
    machine "$state/root"
furnish
echo "script $$"
echo "root $state/root"
echo "agent $state/agent"
echo ready
while read -r line; do boot "$line"; done
