#!/bin/sh
# engine.sh start [DOCKERD-ARG...] | restart [DOCKERD-ARG...] | stop | kill: the Docker Engine of a
# lab host; run inside it.  `start` returns when the engine answers and has the image `box`; `stop`
# asks it to end, `kill` does not ask.  `engine.sh image` only makes the image.
set -eu

# until_true CMD...: polls CMD every 20 ms, for 20 s.
until_true() {
    n=0
    until "$@"; do
        n=$((n + 1))
        [ $n -lt 1000 ] || return 1
        sleep 0.02
    done
}
answers() { docker version >/dev/null 2>&1; }
gone() { ! kill -0 "$1" 2>/dev/null; }

# All that a container of these tests does: answer on some ports with its name.  Process 1 of a
# container gets no signal that it does not catch, and a stop would wait for ten seconds.  A port
# may be `53/udp`; that takes perl, from the host: `docker run -v /usr:/usr:ro`.
# shellcheck disable=SC2016 # expands in the container
serve='#!/bin/busybox sh
busybox mkdir -p /www
busybox hostname >/www/index.html
for port; do
    case $port in
    */udp) /usr/bin/perl /bin/serve-udp "${port%/udp}" & ;;
    *) busybox httpd -p "$port" -h /www ;;
    esac
done
trap exit TERM
busybox sleep 1000000 &
wait'

# Answers each datagram with the name, and keeps what it has heard.
# shellcheck disable=SC2016 # perl's own variables
serve_udp='use Socket qw(:DEFAULT pack_sockaddr_in6 IN6ADDR_ANY);
open(my $www, "<", "/www/index.html"); chomp(my $name = <$www>);
open(my $heard, ">>", "/www/heard"); $heard->autoflush(1);
if (socket(my $six, PF_INET6, SOCK_DGRAM, 0)) {
    bind($six, pack_sockaddr_in6($ARGV[0], IN6ADDR_ANY)) and $udp = $six;
}
if (!$udp) {
    socket($udp, PF_INET, SOCK_DGRAM, 0);
    bind($udp, pack_sockaddr_in($ARGV[0], INADDR_ANY)) or die;
}
while (defined(my $from = recv($udp, my $text, 100, 0))) {
    print $heard "$text\n";
    send($udp, $name, 0, $from);
}'

make_image() {
    ! docker image inspect box >/dev/null 2>&1 || return 0
    tree=$(mktemp -d)
    mkdir "$tree/bin" "$tree/tmp" "$tree/etc" "$tree/usr"
    ln -s usr/lib usr/lib64 "$tree"
    cp /bin/busybox "$tree/bin/busybox"
    printf '%s\n' "$serve" >"$tree/bin/serve"
    printf '%s\n' "$serve_udp" >"$tree/bin/serve-udp"
    chmod 755 "$tree/bin/serve"
    tar -C "$tree" -c . | docker import --change 'ENV PATH=/bin' \
        --change 'ENTRYPOINT ["serve"]' --change 'CMD ["80"]' - box >/dev/null
    rm -r "$tree"
}

start() {
    [ -S /run/containerd/containerd.sock ] ||
        setsid containerd >>/var/log/containerd.log 2>&1 </dev/null &
    until_true test -S /run/containerd/containerd.sock
    setsid dockerd --containerd /run/containerd/containerd.sock \
        --cgroup-parent "/$(basename "$(cat /run/host-is-up)")" "$@" \
        >>/var/log/dockerd.log 2>&1 </dev/null &
    echo $! >/run/engine.pid
    until_true answers || {
        tail -n 20 /var/log/dockerd.log >&2
        exit 1
    }
    make_image
}

# end SIGNAL: a second engine must not start before the first is gone.
end() {
    pid=$(cat /run/engine.pid)
    kill "-$1" "$pid"
    until_true gone "$pid"
}

verb=$1
shift
case $verb in
start) start "$@" ;;
stop) end TERM ;;
kill) end KILL ;;
image) make_image ;;
restart)
    end TERM
    start "$@"
    ;;
*) exit 2 ;;
esac
