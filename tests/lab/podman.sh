#!/bin/sh
# pod image DRIVER | run ARG...: podman on a lab host; run inside it.  `image` makes the image `box`,
# which answers on port 80 with its name, and sets netavark's firewall_driver; `run` is `podman run
# -d` for containers that the host can clean up after.
set -eu
verb=$1
shift

# shellcheck disable=SC2016 # expands in the container
serve='#!/bin/busybox sh
busybox mkdir -p /www
busybox hostname >/www/index.html
for port; do
    busybox httpd -p "$port" -h /www
done
trap exit TERM
busybox sleep 1000000 &
wait'

case $verb in
image)
    mkdir -p /etc/containers
    printf '[network]\nfirewall_driver = "%s"\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n' \
        "$1" >/etc/containers/containers.conf
    # The engine makes overlays itself, and those do not nest.
    printf '[storage]\ndriver = "vfs"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n' \
        >/etc/containers/storage.conf
    tree=$(mktemp -d)
    mkdir "$tree/bin" "$tree/tmp" "$tree/etc"
    cp /bin/busybox "$tree/bin/busybox"
    printf '%s\n' "$serve" >"$tree/bin/serve"
    chmod 755 "$tree/bin/serve"
    tar -C "$tree" -c . | podman import -q --change 'ENV PATH=/bin' \
        --change 'ENTRYPOINT ["serve"]' --change 'CMD ["80"]' - localhost/box:1 >/dev/null
    rm -r "$tree"
    ;;
run)
    exec podman run -d --cgroup-parent "/$(basename "$(cat /run/host-is-up)")" "$@"
    ;;
*) exit 2 ;;
esac
