#!/bin/sh
# Lets the default server listen on IPv6 too, where there is IPv6 and nobody has changed the file.
set -eu

conf=/etc/nginx/conf.d/default.conf

[ -f /proc/net/if_inet6 ] || exit 0
[ -w "$conf" ] || exit 0
grep -q 'listen \[::\]' "$conf" && exit 0

sed -i 's/^\( *\)listen 80;/&\n\1listen [::]:80;/' "$conf"
