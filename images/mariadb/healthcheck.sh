#!/bin/bash
# Says by its exit code whether the server answers: --connect, --innodb_initialized, --su-mysql.
set -euo pipefail

ask() {
    mariadb --protocol=tcp --host=localhost --skip-column-names --batch ${MARIADB_HEALTHCHECK_USER:+-u "$MARIADB_HEALTHCHECK_USER"} "$@"
}

for check; do
    case $check in
    --su-mysql)
        shift
        exec gosu mysql "${BASH_SOURCE[0]}" "$@"
        ;;
    --connect)
        # Whoever is refused for his password did reach the server.
        said=$(ask -e 'SELECT 1' 2>&1) || [[ $said == *'Access denied'* ]]
        ;;
    --innodb_initialized)
        [ "$(ask -e "SELECT 1 FROM information_schema.ENGINES WHERE engine = 'innodb' AND support IN ('YES', 'DEFAULT', 'ENABLED')")" = 1 ]
        ;;
    *)
        echo "unknown check: $check" >&2
        exit 2
        ;;
    esac
done
