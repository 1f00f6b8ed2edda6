#!/usr/bin/env bash
# review.sh: what a change of a policy means, for CI.  Run it in a checkout, below which the policy is.
# It checks the policy, compiles it dry, compares it with the one of another commit, and writes
# summary.md and tidegate.sarif.  Exit status 1 where the policy has mistakes.  docs/ci.md tells more.
#
#     TIDEGATE_POLICY     the policy's main file, below this folder
#     TIDEGATE_BASE       commit to compare with; without it nothing is compared
#     TIDEGATE_HOSTS      names of hosts, for a policy with several
#     TIDEGATE_DENY       codes of warnings that count as mistakes, or `warnings`
#     TIDEGATE_INVENTORY  file with addresses that the policy does not give
#     TIDEGATE_OUT        folder for the results
#     TIDEGATE            the program
set -euo pipefail

policy=${TIDEGATE_POLICY:?the policy to review}
base=${TIDEGATE_BASE:-}
# Of a branch's first push GitHub says zeros.
[[ $base =~ ^0+$ ]] && base=
out=${TIDEGATE_OUT:-tidegate-review}
program=${TIDEGATE:-tidegate}
read -ra hosts <<<"${TIDEGATE_HOSTS:-}"
read -ra denied <<<"${TIDEGATE_DENY:-}"

# GitHub takes comments of up to 65,536 characters.
limit=60000
# From so many lines on a part is folded.
long=25

levels=()
for code in "${denied[@]}"; do
    levels+=(--deny "$code")
done
inventory=()
[ -z "${TIDEGATE_INVENTORY:-}" ] || inventory=(--inventory "$TIDEGATE_INVENTORY")

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
mkdir -p "$out"
summary=$temporary/summary.md

# Runs the program; a status other than 0 and 1 is no answer, and ends all.
ask() {
    local status=0
    "$program" "$@" || status=$?
    [ "$status" -le 1 ] || {
        echo "tidegate $1 ended with status $status" >&2
        exit "$status"
    }
    return "$status"
}

# Adds a part to the summary, folded where it is long: title, file.
add() {
    if [ "$(wc -l <"$2")" -gt "$long" ]; then
        printf '\n<details><summary>%s</summary>\n\n' "$1"
        cat "$2"
        printf '\n</details>\n'
    else
        printf '\n%s\n\n' "$1"
        cat "$2"
    fi >>"$summary"
}

# Makes a block of any text: indented, so that no text can end it.
quote() { sed 's/^/    /'; }

# Escapes what Markdown would read in a name.
# shellcheck disable=SC2001 # `&` in a replacement is a matter of the shell's release
escaped() { sed 's/[]\\`*_<>[@|~&#]/\\&/g' <<<"$1"; }

check() {
    local status=0
    ask check "$policy" "${inventory[@]}" "${levels[@]}" --format sarif >"$out/tidegate.sarif" || status=$?
    if [ "${GITHUB_ACTIONS:-}" = true ]; then
        ask check "$policy" "${inventory[@]}" "${levels[@]}" --format github || true
    fi
    ask check "$policy" "${inventory[@]}" "${levels[@]}" >"$temporary/check" 2>&1 || true
    printf '### tidegate: %s\n' "$(escaped "$policy")" >"$summary"
    if grep -Eq '^(error|warning)' "$temporary/check"; then
        quote <"$temporary/check" >"$temporary/found"
        add 'What check says' "$temporary/found"
    else
        printf '\nNo mistakes, no warnings.\n' >>"$summary"
    fi
    return "$status"
}

# Nothing of it is kept: that it can be compiled, and is proven, is the answer.
compile() {
    local which=()
    [ ${#hosts[@]} = 0 ] || which=(--all-hosts)
    ask compile "$policy" "${inventory[@]}" "${levels[@]}" "${which[@]}" -o "$temporary/bundle" \
        >/dev/null 2>"$temporary/compile" || {
        cat "$temporary/compile" >&2
        return 1
    }
}

# Writes the other commit's files; neither the index nor the work tree changes, and no hook runs.
check_out_base() {
    local tree
    tree=$(git rev-parse --verify --quiet --end-of-options "$base^{tree}") || {
        echo "there is no commit $base here: has it been fetched?" >&2
        exit 2
    }
    export GIT_INDEX_FILE=$temporary/index
    git read-tree "$tree"
    git checkout-index --all --prefix="$temporary/base/"
    unset GIT_INDEX_FILE
}

# What the base's policy and this one allow: a table for each host.
compare() {
    local host which prefix old
    check_out_base
    prefix=$(git rev-parse --show-prefix)
    old=$temporary/base/$prefix$policy
    for host in "${hosts[@]:-}"; do
        which=()
        [ -z "$host" ] || which=(--host "$host")
        # What cannot be compared is said, and what the new policy allows is shown.
        if ! [ -e "$old" ]; then
            printf '\nThe policy is new.\n' >>"$summary"
        elif differ "$old" "$host"; then
            continue
        fi
        ask matrix "$policy" "${inventory[@]}" "${which[@]}" --format markdown >"$temporary/matrix" 2>/dev/null
        add "Who reaches whom${host:+ on $host}" "$temporary/matrix"
    done
}

# Adds what differs: the old policy, the host's name or nothing.
differ() {
    local status=0
    ask diff "$1" "$policy" "${inventory[@]}" "${which[@]}" --format markdown \
        >"$temporary/diff" 2>"$temporary/notes" || status=$?
    if ! [ -s "$temporary/diff" ]; then
        printf '\nIt cannot be compared with the base branch:\n\n' >>"$summary"
        sed "s|$temporary/base/||g" "$temporary/notes" | quote >>"$summary"
        return 1
    fi
    if [ "$status" = 0 ]; then
        printf '\nThe same connections pass as before%s.\n' "${2:+ on $2}" >>"$summary"
    else
        echo true >"$temporary/changed"
        add "What this change opens and closes${2:+ on $2}" "$temporary/diff"
    fi
}

# Writes the summary where it is wanted, cut to whole lines where it is too long.
finish() {
    local size
    size=$(wc -c <"$summary")
    if [ "$size" -gt "$limit" ]; then
        head -c "$limit" "$summary" | sed '$d' >"$out/summary.md"
        printf '\n\nThis is the beginning: all of it has %s bytes.\n' "$size" >>"$out/summary.md"
    else
        cp "$summary" "$out/summary.md"
    fi
    [ -z "${GITHUB_STEP_SUMMARY:-}" ] || cat "$out/summary.md" >>"$GITHUB_STEP_SUMMARY"
    [ -z "${GITHUB_OUTPUT:-}" ] || {
        echo "summary=$out/summary.md"
        echo "sarif=$out/tidegate.sarif"
        echo "changed=$(cat "$temporary/changed" 2>/dev/null || echo false)"
    } >>"$GITHUB_OUTPUT"
}

status=0
check || status=$?
[ "$status" != 0 ] || compile || status=$?
[ "$status" != 0 ] || [ -z "$base" ] || compare
finish
exit "$status"
