#!/usr/bin/env bash
# build.sh [VERSION]: builds the .deb and the .rpm into target/packages and prints their paths.
# VERSION is the packages' own, else that of Cargo.toml.  It needs cargo-deb and cargo-generate-rpm:
#     cargo install --locked --no-default-features cargo-deb
#     cargo install --locked cargo-generate-rpm
# What they put where is said in Cargo.toml, under package.metadata.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
version=${1:-}
target=${CARGO_TARGET_DIR:-target}
assets=target/assets # Cargo.toml names it
out=$target/packages

cargo build --release --locked --quiet
tidegate=$target/release/tidegate

rm -rf "$assets"
mkdir -p "$assets/man" "$assets/completions" "$out"
"$tidegate" manual "$assets/man" >/dev/null
for shell in bash fish zsh; do
    "$tidegate" completions "$shell" >"$assets/completions/$shell"
done

cargo deb --quiet --no-build --output "$out/" ${version:+--deb-version "$version-1"}
# It writes into its folder and says no path.
cargo generate-rpm --output "$out/" ${version:+--set-metadata "version = \"$version\""}
version=${version:-$("$tidegate" --version | cut -d ' ' -f 2)}
ls "$out"/tidegate_"$version"-1_*.deb "$out"/tidegate-"$version"-1.*.rpm
