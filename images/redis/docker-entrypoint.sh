#!/bin/sh
# Runs the server, or any other command, with as few rights as it needs.
set -eu

# Options alone, or a configuration file, are meant for the server.
case "${1-}" in
-* | *.conf) set -- redis-server "$@" ;;
esac

if [ "${1-}" = redis-server ] && [ "$(id -u)" = 0 ]; then
    # A fresh volume belongs to root; the server that follows does not run as root.
    find /data ! -user redis -exec chown -h redis:redis {} +
    exec gosu redis "$0" "$@"
fi

if [ "${1-}" = redis-server ]; then
    # Dumps hold everybody's data. A umask that somebody chose is left alone.
    if [ "$(umask)" = 0022 ]; then
        umask 0077
    fi
    # Without a file of its own the server would answer on loopback alone, although the container is the wall.
    case "${2-}" in
    "" | -*) set -- "$@" --protected-mode no ;;
    esac
fi

exec "$@"
