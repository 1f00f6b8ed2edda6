#!/bin/sh
# company.sh: makes a Debian root file system with the firewall tools that share a machine with
# tidegate, once, and prints its path: ufw, fail2ban, netfilter-persistent and CrowdSec's bouncer.
# They are unpacked and never set up, so that no script of theirs runs and no service starts.  It
# lands beside those of rootfs.sh, under a name that holds a checksum of what is done here.
# shellcheck source-path=SCRIPTDIR
set -eu
. "$(dirname "$(readlink -f "$0")")/debian.sh"
suite=bookworm
lab=${TIDEGATE_LAB:-/var/tmp/tidegate-lab}

# What the tools need, and the tools.
packages=iptables,nftables,ipset,iproute2,procps,python3,ca-certificates
tools='ufw fail2ban netfilter-persistent iptables-persistent crowdsec-firewall-bouncer'

# How they are unpacked.
unpack="cd /tmp && apt-get -qq download $tools"
# Not dpkg -x, which would put a folder in the place of the link /lib.
unpack="$unpack && for package in *.deb; do dpkg-deb --fsys-tarfile \$package |"
unpack="$unpack tar -x --keep-directory-symlink -C /; done && rm -f *.deb"
# What ufw's own set-up does: the rules that it begins with.
unpack="$unpack && cp /usr/share/ufw/iptables/*.rules /usr/share/ufw/ufw.conf /etc/ufw/"

sum=$(printf %s "$packages $tools $unpack" | sha256sum | cut -c 1-8)
make "$suite" "$packages" "$lab/rootfs/company-$sum" \
    --aptopt='APT::Sandbox::User "root"' \
    --customize-hook="chroot \"\$1\" sh -ec '$unpack'"
