#!/usr/bin/env bash
# review.sh: what a change of a policy means, for CI.  Run it in a checkout, below which the policy is.
# It checks the policy, compiles it dry, compares it with the one of another commit, and writes
# summary.md and tidegate.sarif.  Exit status 1 where the policy has mistakes.  docs/ci.md tells more.
#
#     TIDEGATE_POLICY     the policy's main file, below this folder
#     TIDEGATE_BASE       commit to compare with; without it nothing is compared
#     TIDEGATE_HOSTS      names of the only hosts to compare, of a policy with several; all unless said
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

exec 3>&2
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
mkdir -p "$out"
summary=$temporary/summary.md
declare -A alike=()
fresh=()
missing=0

# Runs the program; a status other than 0 and 1 is no answer, and ends all with what it said.
ask() {
    local status=0
    "$program" "$@" || status=$?
    [ "$status" -le 1 ] || {
        # What it said may have been sent elsewhere.
        "$program" "$@" 2>&3 >/dev/null || true
        echo "tidegate $1 ended with status $status" >&3
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
    [ "$status" = 0 ] || cat "$temporary/check" >&2
    return "$status"
}

# That it can be compiled, and is proven, is the answer; of the bundles the hosts' names are kept.
compile() {
    ask compile "$policy" "${inventory[@]}" "${levels[@]}" --all-hosts -o "$temporary/bundle" \
        >/dev/null 2>"$temporary/compile" || {
        cat "$temporary/compile" >&2
        return 1
    }
}

# Prints the hosts of compiled bundles, a line each; an empty one for a host without a name.
names() {
    local folder
    if [ -e "$1/manifest.json" ]; then
        echo
        return
    fi
    for folder in "$1"/*/; do
        basename "$folder"
    done
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

# What the base's policy and this one allow: a table for all hosts that change alike.
compare() {
    local now all host before=()
    check_out_base
    old=$temporary/base/$(git rev-parse --show-prefix)$policy
    mapfile -t now < <(names "$temporary/bundle")
    choose
    if ! [ -e "$old" ]; then
        printf '\nThe policy is new.\n' >>"$summary"
        show_all "${now[@]}"
        tell_missing
        return
    fi
    if ! ask compile "$old" "${inventory[@]}" --all-hosts -o "$temporary/before" \
        >/dev/null 2>"$temporary/notes"; then
        printf '\nIt cannot be compared with the base branch:\n\n' >>"$summary"
        sed "s|$temporary/base/||g" "$temporary/notes" | quote >>"$summary"
        show_all "${now[@]}"
        tell_missing
        return
    fi
    mapfile -t before < <(names "$temporary/before")
    for host in "${now[@]}"; do
        if contains "$host" "${before[@]}"; then
            differ "$host"
        else
            fresh+=("$host")
        fi
    done
    tell_alike
    tell_fresh
    tell_gone
    tell_missing
}

contains() {
    local wanted=$1 it
    shift
    for it; do
        [ "$it" != "$wanted" ] || return 0
    done
    return 1
}

# Leaves the hosts that were asked for, and says which were not.
choose() {
    local host left=()
    all=("${now[@]}")
    [ ${#hosts[@]} != 0 ] || return 0
    now=()
    for host in "${all[@]}"; do
        if contains "$host" "${hosts[@]}"; then
            now+=("$host")
        else
            left+=("$host")
        fi
    done
    [ ${#left[@]} = 0 ] ||
        printf '\nNot compared: %s.\n' "$(escaped "$(listed "${left[@]}")")" >>"$summary"
}

# Ends with 2 where somebody asked for a host that neither policy has.
tell_missing() {
    local host
    for host in "${hosts[@]}"; do
        contains "$host" "${all[@]}" "${before[@]}" || {
            printf '\nThere is no host %s.\n' "$(escaped "$host")" >>"$summary"
            echo "there is no host $host; the hosts are: $(listed "${all[@]}")" >&2
            missing=2
        }
    done
}

# Writes names with commas between them.
listed() {
    local text
    printf -v text '%s, ' "$@"
    printf '%s' "${text%, }"
}

# Names hosts as a heading does; nothing where there is one without a name.
on() {
    case $#,$1 in
    1,) ;;
    1,*) printf ' on %s' "$(escaped "$1")" ;;
    *) printf ' on %s hosts (%s)' $# "$(escaped "$(listed "$@")")" ;;
    esac
}

# Compares one host, and puts it to those that change alike.
differ() {
    local which=() status=0 kind
    [ -z "$1" ] || which=(--host "$1")
    ask diff "$old" "$policy" "${inventory[@]}" "${which[@]}" --format markdown \
        >"$temporary/diff" 2>"$temporary/notes" || status=$?
    if ! [ -s "$temporary/diff" ]; then
        kind=unknown
        sed "s|$temporary/base/||g" "$temporary/notes" | quote >"$temporary/diff"
    elif [ "$status" = 0 ]; then
        kind=same
    else
        kind=changed
        echo true >"$temporary/changed"
    fi
    kind=$kind-$(git hash-object --stdin <"$temporary/diff")
    [ -n "${alike[$kind]:-}" ] || cp "$temporary/diff" "$temporary/$kind"
    alike[$kind]+="$1 "
}

tell_alike() {
    local kind those
    for kind in $(printf '%s\n' "${!alike[@]}" | sort); do
        # Names have no blanks; a host without one is alone.
        read -ra those <<<"${alike[$kind]}"
        [ ${#those[@]} != 0 ] || those=("")
        case $kind in
        same-*) printf '\nThe same connections pass as before%s.\n' "$(on "${those[@]}")" >>"$summary" ;;
        changed-*) add "What this change opens and closes$(on "${those[@]}")" "$temporary/$kind" ;;
        *)
            printf '\nIt cannot be compared with the base branch%s:\n\n' "$(on "${those[@]}")" >>"$summary"
            cat "$temporary/$kind" >>"$summary"
            show_all "${those[@]}"
            ;;
        esac
    done
}

tell_fresh() {
    [ ${#fresh[@]} != 0 ] || return 0
    echo true >"$temporary/changed"
    printf '\nNew: %s.\n' "$(escaped "$(listed "${fresh[@]}")")" >>"$summary"
    show_all "${fresh[@]}"
}

tell_gone() {
    local host gone=()
    for host in "${before[@]}"; do
        [ ${#hosts[@]} = 0 ] || contains "$host" "${hosts[@]}" || continue
        contains "$host" "${all[@]}" || gone+=("$host")
    done
    for host in "${gone[@]}"; do
        echo true >"$temporary/changed"
        if [ -z "$host" ]; then
            printf '\nThe host had no name before; what it let pass:\n' >>"$summary"
        else
            printf '\nGone: %s; what it let pass:\n' "$(escaped "$host")" >>"$summary"
        fi
        show "$old" "$host"
    done
}

# Adds what hosts let pass now.
show_all() {
    local host
    for host; do
        show "$policy" "$host"
    done
}

# Adds what one host of a policy lets pass.
show() {
    local which=()
    [ -z "$2" ] || which=(--host "$2")
    ask matrix "$1" "${inventory[@]}" "${which[@]}" --format markdown >"$temporary/matrix" 2>/dev/null || {
        printf '\nWho reaches whom%s is not known.\n' "$(on "$2")" >>"$summary"
        return 0
    }
    add "Who reaches whom$(on "$2")" "$temporary/matrix"
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
[ "$status" != 0 ] || status=$missing
exit "$status"
