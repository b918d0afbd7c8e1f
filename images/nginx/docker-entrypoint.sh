#!/bin/sh
# Prepares the configuration with the scripts of /docker-entrypoint.d, in the order of their names, then starts.
set -eu

say() {
    [ -n "${NGINX_ENTRYPOINT_QUIET_LOGS:-}" ] || echo "docker-entrypoint: $*"
}

case "${1-}" in
nginx | nginx-debug)
    for script in /docker-entrypoint.d/*; do
        [ -f "$script" ] || continue
        if [ ! -x "$script" ]; then
            say "skipping $script: not executable"
            continue
        fi
        case "$script" in
        *.envsh)
            say "reading $script"
            . "$script"
            ;;
        *.sh)
            say "running $script"
            "$script"
            ;;
        *) say "skipping $script: neither .sh nor .envsh" ;;
        esac
    done
    say "ready to start"
    ;;
esac

exec "$@"
