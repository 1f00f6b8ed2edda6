# addresses.sh: who is where on the lab's one segment (documentation prefixes, RFC 5737 and 3849).
# shellcheck shell=sh disable=SC2034
host4=192.0.2.1 host6=2001:db8::1
office4=192.0.2.10 office6=2001:db8::10
outside4=192.0.2.66 outside6=2001:db8::66
