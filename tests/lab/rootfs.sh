#!/bin/sh
# rootfs.sh [VARIANT]: makes a Debian root file system with Docker and systemd, once, and prints its
# path.  VARIANT `firewalls` also has netfilter-persistent and firewalld, `kernel` a kernel of its own.
# The suite is $TIDEGATE_LAB_SUITE, else bookworm; each has an engine of its own, see docs/engines.md.
# It lands in ${TIDEGATE_LAB:-/var/tmp/tidegate-lab}/rootfs under a name that holds a checksum of the
# package list, so that a changed list makes a new one.
set -eu
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
esac

die() {
    echo "rootfs.sh: $1" >&2
    exit 1
}

# The mirror that this machine's apt uses; the suite's own security archive is not needed here.
mirror() {
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null |
        grep -v security | grep -m 1 . || echo http://deb.debian.org/debian
}

sum=$(printf %s "$packages" | sha256sum | cut -c 1-8)
dest=$lab/rootfs/$suite${variant:+-$variant}-$sum
[ ! -d "$dest" ] || {
    echo "$dest"
    exit
}
[ "$(id -u)" = 0 ] || die 'only root can make a root file system'
command -v mmdebstrap >/dev/null || die 'mmdebstrap is missing (apt-get install mmdebstrap)'

mkdir -p "$lab/rootfs"
exec 9>"$lab/rootfs/lock"
flock 9 # somebody else may be making it right now
if [ ! -d "$dest" ]; then
    part=$(mktemp -d "$lab/rootfs/part.XXXXXX")
    trap 'rm -rf "$part"' EXIT
    trap 'exit 1' HUP INT TERM
    echo "rootfs.sh: making a $suite${variant:+ $variant} root file system, half a minute" >&2
    mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" \
        --aptopt='APT::Install-Recommends "false"' \
        --aptopt="Acquire::Check-Valid-Until \"$valid\"" \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
        "$suite" "$part/root" "$(mirror)" >&2 9>&-
    mv "$part/root" "$dest"
fi
echo "$dest"
