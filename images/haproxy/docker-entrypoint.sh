#!/bin/sh
# Runs the proxy, or any other command; options alone are meant for the proxy.
set -eu

case "${1-}" in
-*) set -- haproxy "$@" ;;
esac

if [ "${1-}" = haproxy ]; then
    shift
    # A master that can reload its workers, and stays in the foreground.
    set -- haproxy -W -db "$@"
fi

exec "$@"
