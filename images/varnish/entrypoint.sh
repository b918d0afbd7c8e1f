#!/bin/sh
# Starts varnishd in the foreground; arguments that begin with a dash are added to its own.
set -e

if [ "$#" -eq 0 ] || [ "${1#-}" != "$1" ]; then
    set -- varnishd -F -f "${VARNISH_VCL:-/etc/varnish/default.vcl}" \
        -a "http=:${VARNISH_HTTP_PORT:-80},HTTP" \
        -s "malloc,${VARNISH_SIZE:-100M}" "$@"
fi
exec "$@"
