#!/usr/bin/env bash
# host-init.sh STATE ROOTFS: process 1 of a host.  Run in new mount, pid, uts and ipc namespaces, it
# makes an overlay of ROOTFS the root and waits for its standard input to end; with it ends the
# host and all that runs there.
set -eu
state=$1 rootfs=$2
mount --make-rprivate /
mount -t overlay -o "lowerdir=$rootfs,upperdir=$state/upper,workdir=$state/work" host "$state/root"
cd "$state/root"

mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir run/netns run/lock

# Device nodes of its own: what root does to them in here, the machine does not see.
mount -t tmpfs -o mode=755 dev dev
mkdir dev/pts dev/shm
while read -r name major minor; do
    mknod -m 666 "dev/$name" c "$major" "$minor"
done <<NODES
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
NODES
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd

# The engine makes overlays itself, and those do not nest: straight from the disk.
for store in docker containerd; do
    mkdir -p "var/lib/$store"
    mount --bind "$state/$store" "var/lib/$store"
done

hostname host
pivot_root . mnt
umount -l mnt
: >/run/host-is-up
# Lines never come; the end of the pipe does.  bash also reaps what other processes leave to it.
while read -r _; do :; done
