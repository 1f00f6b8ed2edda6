# shellcheck shell=sh
# debian.sh: how a Debian root file system is made, for rootfs.sh and company.sh to read in.

# The caller's name, for its messages.
me=$(basename "$0")

die() {
    echo "$me: $1" >&2
    exit 1
}

# The mirror that this machine's apt uses; the suite's own security archive is not needed here.
mirror() {
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null |
        grep -v security | grep -m 1 . || echo http://deb.debian.org/debian
}

# make SUITE PACKAGES DEST [OPTION...]: makes it once, with more options for mmdebstrap, and prints
# its path.
make() {
    suite=$1 packages=$2 dest=$3
    shift 3
    [ ! -d "$dest" ] || {
        echo "$dest"
        return
    }
    [ "$(id -u)" = 0 ] || die 'only root can make a root file system'
    command -v mmdebstrap >/dev/null || die 'mmdebstrap is missing (apt-get install mmdebstrap)'

    folder=$(dirname "$dest")
    mkdir -p "$folder"
    exec 9>"$folder/lock"
    flock 9 # somebody else may be making it right now
    if [ ! -d "$dest" ]; then
        part=$(mktemp -d "$folder/part.XXXXXX")
        trap 'rm -rf "$part"' EXIT
        trap 'exit 1' HUP INT TERM
        echo "$me: making $(basename "$dest"), half a minute" >&2
        mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" \
            --aptopt='APT::Install-Recommends "false"' \
            --dpkgopt='path-exclude=/usr/share/doc/*' \
            --dpkgopt='path-exclude=/usr/share/man/*' \
            --dpkgopt='path-exclude=/usr/share/locale/*' \
            --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
            "$@" "$suite" "$part/root" "$(mirror)" >&2 9>&-
        mv "$part/root" "$dest"
    fi
    echo "$dest"
}
