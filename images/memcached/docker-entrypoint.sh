#!/bin/sh
# Runs the server, or any other command; options alone are meant for the server.
set -eu

case "${1-}" in
-*) set -- memcached "$@" ;;
esac

exec "$@"
