# shellcheck shell=sh
# Runs after the files of a version are gone.
[ ! -d /run/systemd/system ] || systemctl daemon-reload
