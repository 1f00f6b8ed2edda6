# shellcheck shell=sh
# Runs after the files of a first version ($1 is 1) or of another one ($1 is 2) are there.  Nothing
# is stopped: the rules of before stay until the new ones are there.
units='tidegate-closed.service tidegate-guard.service tidegate.service tidegate-drift.service tidegate-drift.timer'

# The units may write into it, where it is there.
mkdir -p /etc/tidegate

[ "$1" != 1 ] || for unit in $units; do
    systemctl --no-reload preset "$unit" >/dev/null 2>&1 || :
done
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload

[ -d /var/lib/tidegate/current ] || exit 0
failed=''
for unit in $units 'tidegate-watch@*.service'; do
    case $unit in
    *@*) verb=try-restart ;;
    *) systemctl is-enabled --quiet "$unit" && verb=restart || verb=try-restart ;;
    esac
    systemctl "$verb" "$unit" || failed="$failed $unit"
done
[ -z "$failed" ] || cat >&2 <<MESSAGE
tidegate: WARNING: did not start:$failed
tidegate: rules that were in force stay in force.  Look at: journalctl -u tidegate
tidegate: where the bundle was compiled by another version, compile the policy again and apply it.
MESSAGE
