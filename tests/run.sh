#!/usr/bin/env bash
# run.sh: every check of the repository, on a machine that may have nothing but Rust.  As root it
# installs the Debian packages and the cargo tool that are missing, and makes the root file system
# of the Docker tests; without root the tests that need it are left out, and say so.  The runner's
# count is the last thing it prints.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}

title() { printf '\n== %s\n' "$*"; }
root() { [ "$(id -u)" = 0 ]; }

install_packages() {
    local package missing=() emulator=()
    [ -z "${TIDEGATE_QEMU:-}" ] || emulator=(qemu-system-x86 e2fsprogs)
    for package in "${emulator[@]}" acl gcc libc6-dev mmdebstrap debian-archive-keyring iptables \
        nftables iproute2 conntrack procps systemd util-linux systemd-container shellcheck strace \
        faketime dpkg-dev binutils chromium graphviz; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    apt-get update
    apt-get install -y --no-install-recommends "${missing[@]}"
}

if root && command -v apt-get >/dev/null; then
    title 'Debian packages'
    install_packages
    title 'Debian root file systems for Docker hosts'
    tests/lab/rootfs.sh
    tests/lab/rootfs.sh firewalls
    title 'a Debian root file system with other firewall tools'
    tests/lab/company.sh
    # From here on a machine that cannot run them fails these tests.
    export TIDEGATE_LAB_REQUIRED=1
else
    echo 'No root, or no apt: tests in namespaces, on a Docker Engine and of a boot may be left out.'
fi

title 'format'
cargo fmt --check

title 'lints'
cargo clippy --locked --all-targets -- -D warnings
if command -v shellcheck >/dev/null; then
    mapfile -t scripts < <(find tests examples packaging ci .ci -name '*.sh' -o -path .ci/run -o -path 'packaging/deb/*')
    shellcheck -x "${scripts[@]}"
fi

title 'licenses, sources and duplicate dependencies'
command -v cargo-deny >/dev/null || cargo install --quiet --locked cargo-deny
cargo deny --locked check bans licenses sources
# Advisories change under a tree that does not, and their database may be out of reach.
if timeout 60 cargo deny --locked fetch db >/dev/null 2>&1; then
    cargo deny --locked check --disable-fetch advisories || echo 'warning: see the advisories above'
else
    echo 'advisories: left out, their database cannot be reached'
fi

if [ -n "${TIDEGATE_LAB_REQUIRED:-}" ]; then
    title 'packages, of two versions'
    # They pack a few megabytes: building them takes longer than they ever run.
    export CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off
    command -v cargo-deb >/dev/null || cargo install --quiet --locked --no-default-features cargo-deb
    command -v cargo-generate-rpm >/dev/null || cargo install --quiet --locked cargo-generate-rpm
    rm -rf target/packages
    packaging/build.sh
    packaging/build.sh 99.0.0
    export TIDEGATE_PACKAGES=$PWD/target/packages
    unset CARGO_PROFILE_RELEASE_OPT_LEVEL CARGO_PROFILE_RELEASE_LTO
fi

title 'tests'
if command -v cargo-nextest >/dev/null; then
    exec cargo nextest run --locked --no-fail-fast --status-level slow --final-status-level slow
fi
exec cargo test --locked --no-fail-fast
