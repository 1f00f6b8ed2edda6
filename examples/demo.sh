#!/usr/bin/env bash
# demo.sh: what tidegate is for, done for real and step by step, in network namespaces of its own.
# As root it installs the Debian packages it needs; otherwise it stops after the compiler.  The
# machine's own network and firewall are not touched.  Exit code 0 says that every step held.
# shellcheck source-path=SCRIPTDIR/..
# shellcheck disable=SC2317 # `step` calls the functions, and where it does, `set -e` is off
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
export TIDEGATE_LAB=${TIDEGATE_LAB:-/var/tmp/tidegate-lab}
. tests/lab/addresses.sh
policy=examples/demo/shop.tide
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

bold='' red='' green='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi

steps=0 failed=0
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
show() { sed -E 's/^/      /; s/^(.{77}).{4,}/\1.../'; }

# step WHAT CMD...: one numbered line; what CMD printed follows where it did not hold.
step() {
    local what=$1 verdict="${green}held$plain" status=0
    shift
    steps=$((steps + 1))
    "$@" >"$work/said" 2>&1 || status=$?
    [ $status = 0 ] || { verdict="${red}DID NOT HOLD$plain" failed=$((failed + 1)); }
    printf '%4d  %-61s %s\n' $steps "$what" "$verdict"
    [ $status = 0 ] || show <"$work/said"
}

# must WHAT CMD...: a step without which the rest makes no sense.
must() {
    local before=$failed
    step "$@"
    [ "$failed" = "$before" ] || finish
}

finish() {
    if [ "$failed" = 0 ]; then
        printf '\n%sAll %d steps held.%s\n' "$bold" "$steps" "$plain"
    else
        printf '\n%s%d of %d steps did not hold.%s\n' "$red" "$failed" "$steps" "$plain"
    fi
    exit $((failed > 0))
}

need_packages() {
    local package missing=()
    for package in mmdebstrap debian-archive-keyring iproute2 util-linux procps; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    apt-get install -y --no-install-recommends "${missing[@]}" || {
        apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"
    }
}

# --- the compiler -------------------------------------------------------------------------------

build() {
    cargo build --locked --quiet &&
        target=$(cargo metadata --format-version 1 --no-deps --locked |
            sed 's/.*"target_directory":"\([^"]*\)".*/\1/') &&
        tidegate=$target/debug/tidegate
}

title 'tidegate, from the policy to the files'
must 'the program is built (the first time takes a few minutes)' build
must "the policy, $policy, is right" "$tidegate" check "$policy"
must 'it compiles to a bundle' "$tidegate" compile "$policy" -o "$work/bundle"
(cd "$work/bundle" && wc -l -- *) | show
not_for_the_world() {
    ! "$tidegate" trace "$policy" --from outside --to web --port 80/tcp --why 2>/dev/null
}
step 'its rules, traced, keep the world from the site' not_for_the_world
show <"$work/said"

if [ "$(id -u)" != 0 ]; then
    title 'the rules for IPv4'
    show <"$work/bundle/rules.v4"
    title 'the settings'
    show <"$work/bundle/90-tidegate.conf"
    printf '\n%s\n' 'The rest needs root, for namespaces and a Docker Engine in them: it stops here.'
    finish
fi

# --- a Docker host, a client in the office and a client outside -----------------------------------

start_world() {
    local rootfs
    rootfs=$(tests/lab/rootfs.sh) || return
    # The script ends with the pipe, so with this one, however that ends.
    mkfifo "$work/facts"
    exec 3> >(exec setsid tests/lab/world.sh "$rootfs" >"$work/facts")
    world=$!
    while read -r name value; do
        case $name in
        host) host=$value ;;
        office) office=$value ;;
        outside) outside=$value ;;
        ready) return ;;
        esac
    done <"$work/facts"
    return 1
}
end_world() {
    exec 3>&-
    kill "$world" 2>/dev/null || :
    wait "$world" 2>/dev/null || :
    rm -rf "$work"
}
# What stays running there must not hold the pipe that ends the world.
on_host() { nsenter -t "$host" -m -p -u -i -n -r -w -- "$@" 3>&-; }

start_engine() {
    local sbin=/proc/$host/root/usr/local/sbin
    cp tests/lab/engine.sh "$sbin/engine" && cp "$tidegate" "$sbin/tidegate" &&
        mkdir -p "/proc/$host/root/etc/tidegate" &&
        cp "$policy" "/proc/$host/root/etc/tidegate/shop.tide" &&
        on_host engine start
}
make_network() {
    on_host docker network create --ipv6 --subnet 172.28.0.0/16 --subnet fd00:28::/64 \
        -o com.docker.network.bridge.name=br-shop \
        -o com.docker.network.bridge.enable_icc=false shop
}
# container NAME LAST-PART-OF-ADDRESS DOCKER-RUN-ARG...
container() {
    local name=$1 last=$2
    shift 2
    on_host docker run -d --restart always --name "$name" -h "$name" --network shop \
        --ip "172.28.0.$last" --ip6 "fd00:28::$last" "$@"
}

# network NAME: the network namespace of a client; any but the two is a container.
network() {
    case $1 in
    office) echo "/proc/$office/ns/net" ;;
    outside) echo "/proc/$outside/ns/net" ;;
    *) echo "/proc/$host/root/proc/$(on_host docker inspect -f '{{.State.Pid}}' "$1")/ns/net" ;;
    esac
}

# ask CLIENT ADDRESS PORT: prints who answers there, or nothing.
ask() {
    # shellcheck disable=SC2016 # expands in the inner shell
    timeout 1 nsenter --net="$(network "$1")" bash -c 'exec 4<>"/dev/tcp/$1/$2"
        printf "GET / HTTP/1.0\r\n\r\n" >&4
        tail -n 1 <&4' ask "$2" "$3" 2>/dev/null || :
}
# served CLIENT NAME ADDRESS PORT: waits a while, because a container may just be starting.
served() {
    local try got=''
    for try in $(seq 25); do
        got=$(ask "$1" "$3" "$4")
        [ "$got" != "$2" ] || return 0
        sleep 0.2
    done
    echo "${got:-nobody} answers $1 at $3 port $4, after $try times"
    return 1
}
# refused CLIENT ADDRESS PORT
refused() {
    local got
    got=$(ask "$1" "$2" "$3")
    [ -z "$got" ] || echo "$got answers $1 at $2 port $3"
    [ -z "$got" ]
}
# in_both served|refused CLIENT [NAME] PORT: over IPv4 and IPv6, at the host's addresses.
in_both() {
    local port=${*: -1}
    "${@:1:$#-1}" "$host4" "$port" && "${@:1:$#-1}" "$host6" "$port"
}

# --- a restart under fire -----------------------------------------------------------------------

# hammer ADDRESS FILE: connects from outside until fire.over is there; one letter in FILE an attempt.
hammer() {
    # shellcheck disable=SC2016 # expands in the inner shell
    nsenter --net="$(network outside)" bash -c 'until [ -e "$3" ]; do
        if timeout 0.05 bash -c "exec 4<>/dev/tcp/$1/8080"; then printf y; else printf n; fi
    done >"$2" 2>/dev/null' hammer "$1" "$2" "$work/fire.over" 3>&-
}
restart_under_fire() {
    local lane tries got status=0 hammers=()
    for lane in 1 2 3; do
        hammer "$host4" "$work/fire4.$lane" &
        hammers+=($!)
        hammer "$host6" "$work/fire6.$lane" &
        hammers+=($!)
    done
    on_host engine restart || status=$?
    touch "$work/fire.over"
    wait "${hammers[@]}" || :
    tries=$(cat "$work"/fire?.? | wc -c)
    got=$(cat "$work"/fire?.? | tr -cd y | wc -c)
    echo "$got of $tries attempts got through"
    [ "$status" = 0 ] && [ "$tries" -gt 10 ] && [ "$got" = 0 ]
}

# --- drift --------------------------------------------------------------------------------------

drift_is_found() {
    local status=0
    on_host tidegate drift >"$work/drift" 2>&1 || status=$?
    [ "$status" = 1 ] || {
        echo "exit code $status, not 1"
        cat "$work/drift"
        return 1
    }
}
repaired() {
    on_host tidegate drift --repair && on_host tidegate drift
}

# --- the steps ----------------------------------------------------------------------------------

title 'a Docker host in namespaces of its own, made of Debian packages'
must 'the packages it takes are installed' need_packages
must 'a Debian root file system is there (made new: half a minute)' tests/lab/rootfs.sh
trap end_world EXIT
must 'a host, a client in the office and a client outside are up' start_world
must 'the Docker Engine starts' start_engine
must 'network shop is made, with containers that reach nobody else' make_network
must 'container web runs, port 8080 published' container web 10 -p 8080:80 box 80
must 'container db runs, port 9187 published' container db 20 -p 9187:9187 box 5432 9187 5433
printf '      Docker Engine %s, iptables %s\n' \
    "$(on_host docker version -f '{{.Server.Version}}')" \
    "$(on_host iptables --version | cut -d ' ' -f 2-)"

title 'without tidegate'
step 'the world may see the site, by IPv4 and IPv6' in_both served outside web 8080
step "the world may ask the database's metrics" in_both served outside db 9187
step 'the world may ask the database itself, by IPv6' served outside db fd00:28::20 5432

title 'with tidegate'
step 'a first policy can be had from the engine' on_host tidegate import --engine
must 'the policy is applied' on_host tidegate apply /etc/tidegate/shop.tide

the_policy_holds() {
    step 'the office sees the site, by IPv4 and IPv6' in_both served office web 8080
    step 'the world does not' in_both refused outside 8080
    step 'the office sees the metrics' in_both served office db 9187
    step 'the world does not' in_both refused outside 9187
    step 'the world does not reach the database' refused outside fd00:28::20 5432
    step 'web reaches the database, which its link opens' served web db 172.28.0.20 5432
    step 'web reaches no other port of it' refused web 172.28.0.20 5433
    step 'the database does not reach web' refused db 172.28.0.10 80
}
the_policy_holds

title 'when the engine restarts'
step 'it restarts; of many attempts meanwhile none gets through' restart_under_fire
show <"$work/said"
the_policy_holds
step 'there is no drift' on_host tidegate drift
traced() {
    on_host tidegate trace --live --from "$office4" --to "$host4" --port 8080/tcp --why &&
        ! on_host tidegate trace --live --from "$outside4" --to "$host4" --port 8080/tcp --why
}
step 'a trace through its rules says the same of office and world' traced
show <"$work/said"

title 'when somebody changes the rules'
step 'a rule is deleted' on_host iptables -t mangle -D TIDE-shop-in 1
step 'tidegate drift finds it' drift_is_found
show <"$work/drift"
step 'tidegate drift --repair puts it right' repaired
step 'the hook is removed' on_host iptables -t mangle -D FORWARD 1
step 'the world is in' served outside web "$host4" 8080
step 'tidegate drift finds it' drift_is_found
show <"$work/drift"
step 'tidegate drift --repair puts it right' repaired
the_policy_holds
finish
