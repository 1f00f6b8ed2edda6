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
    local package missing=()
    for package in gcc libc6-dev mmdebstrap debian-archive-keyring iptables nftables iproute2 \
        conntrack procps util-linux systemd-container shellcheck; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    apt-get update
    apt-get install -y --no-install-recommends "${missing[@]}"
}

if root && command -v apt-get >/dev/null; then
    title 'Debian packages'
    install_packages
    title 'a Debian root file system for Docker hosts'
    tests/lab/rootfs.sh
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
    mapfile -t scripts < <(find tests examples .ci -name '*.sh' -o -path .ci/run)
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

title 'tests'
if command -v cargo-nextest >/dev/null; then
    exec cargo nextest run --locked --no-fail-fast --status-level slow --final-status-level slow
fi
exec cargo test --locked --no-fail-fast
