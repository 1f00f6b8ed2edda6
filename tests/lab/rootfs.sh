#!/bin/sh
# rootfs.sh [VARIANT]: makes a Debian root file system with Docker and systemd, once, and prints its
# path.  VARIANT `firewalls` also has netfilter-persistent and firewalld, `kernel` a kernel of its own;
# `podman` has podman with netavark in the place of Docker, for trixie and newer.
# The suite is $TIDEGATE_LAB_SUITE, else bookworm; each has an engine of its own, see docs/engines.md.
# It lands in ${TIDEGATE_LAB:-/var/tmp/tidegate-lab}/rootfs under a name that holds a checksum of the
# package list, so that a changed list makes a new one.
# shellcheck source-path=SCRIPTDIR
set -eu
. "$(dirname "$(readlink -f "$0")")/debian.sh"
suite=${TIDEGATE_LAB_SUITE:-bookworm} variant=${1:-}
lab=${TIDEGATE_LAB:-/var/tmp/tidegate-lab}

# Only what the hosts need; --variant=minbase brings dpkg, apt and a shell.
packages=docker.io,iptables,nftables,ipset,conntrack,iproute2,procps,kmod,busybox-static
packages=$packages,systemd,systemd-sysv,dbus,libnss-systemd,rpm
valid=true
case $suite in
trixie) packages=$packages,docker-cli ;;
# A mirror of a moving suite may be past its Valid-Until; signatures are still checked.
forky | sid) packages=$packages,docker-cli valid=false ;;
esac
case $variant in
firewalls) packages=$packages,netfilter-persistent,iptables-persistent,firewalld ;;
kernel) packages=$packages,udev,linux-image-cloud-amd64,initramfs-tools,zstd ;;
podman)
    packages=podman,netavark,aardvark-dns,runc,iptables,nftables,conntrack,iproute2,procps,kmod
    packages=$packages,busybox-static,perl-base
    ;;
esac

sum=$(printf %s "$packages" | sha256sum | cut -c 1-8)
make "$suite" "$packages" "$lab/rootfs/$suite${variant:+-$variant}-$sum" \
    --aptopt="Acquire::Check-Valid-Until \"$valid\""
