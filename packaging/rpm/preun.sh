# shellcheck shell=sh
# A firewall that is removed ($1 is 0) goes out of force, as firewalld does.  Its bundle stays.  At an
# upgrade ($1 is 1) nothing is stopped.
if [ "$1" = 0 ]; then
    echo 'tidegate: its rules go out of force; install it again and they come back.' >&2
    # From 4.20 on rpm runs this in a network of its own, whose rules are nobody's: systemd's is the host's.
    if [ -d /run/systemd/system ]; then
        systemd-run --quiet --wait --collect --pipe /usr/sbin/tidegate uninstall --keep-bundle >&2 || exit
    else
        /usr/sbin/tidegate uninstall --keep-bundle >&2 || exit
    fi
fi
