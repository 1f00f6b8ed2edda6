#!/bin/sh
# company.sh: makes a Debian root file system with the firewall tools that share a machine with
# tidegate, once, and prints its path: ufw, fail2ban, netfilter-persistent and CrowdSec's bouncer.
# They are unpacked and never set up, so that no script of theirs runs and no service starts.  It
# lands beside those of rootfs.sh, under a name that holds a checksum of what is done here.
set -eu
suite=bookworm
lab=${TIDEGATE_LAB:-/var/tmp/tidegate-lab}

# What the tools need, and the tools.
packages=iptables,nftables,ipset,iproute2,procps,python3,ca-certificates
tools='ufw fail2ban netfilter-persistent iptables-persistent crowdsec-firewall-bouncer'

die() {
    echo "company.sh: $1" >&2
    exit 1
}

# The mirror that this machine's apt uses.
mirror() {
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null |
        grep -v security | grep -m 1 . || echo http://deb.debian.org/debian
}

# How they are unpacked.
unpack="cd /tmp && apt-get -qq download $tools"
# Not dpkg -x, which would put a folder in the place of the link /lib.
unpack="$unpack && for package in *.deb; do dpkg-deb --fsys-tarfile \$package |"
unpack="$unpack tar -x --keep-directory-symlink -C /; done && rm -f *.deb"
# What ufw's own set-up does: the rules that it begins with.
unpack="$unpack && cp /usr/share/ufw/iptables/*.rules /usr/share/ufw/ufw.conf /etc/ufw/"

sum=$(printf %s "$packages $tools $unpack" | sha256sum | cut -c 1-8)
dest=$lab/rootfs/company-$sum
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
    echo "company.sh: making a root file system, half a minute" >&2
    mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" \
        --aptopt='APT::Install-Recommends "false"' \
        --aptopt='APT::Sandbox::User "root"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook="chroot \"\$1\" sh -ec '$unpack'" \
        --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
        "$suite" "$part/root" "$(mirror)" >&2 9>&-
    mv "$part/root" "$dest"
fi
echo "$dest"
