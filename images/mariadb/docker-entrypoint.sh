#!/bin/bash
# Runs the server, or any other command. Before the first start it makes the database: accounts and a schema from the
# environment, then the scripts of /docker-entrypoint-initdb.d.
set -euo pipefail
shopt -s nullglob

say() {
    printf '%s [entrypoint] %s\n' "$(date --rfc-3339=seconds)" "$*"
}

fail() {
    say "error: $*" >&2
    exit 1
}

# Takes MARIADB_X, else MYSQL_X, each from its variable or from the file that the variable with _FILE names.
setting() {
    local name=$1 default=${2-} source value=''
    for source in "MARIADB_$name" "MYSQL_$name"; do
        local file="${source}_FILE"
        if [ -n "${!source-}" ] && [ -n "${!file-}" ]; then
            fail "both $source and $file are set"
        fi
        if [ -z "$value" ] && [ -n "${!file-}" ]; then
            value=$(< "${!file}")
        elif [ -z "$value" ]; then
            value=${!source-}
        fi
        unset "$file"
    done
    printf -v "MARIADB_$name" '%s' "${value:-$default}"
    export "MARIADB_${name?}"
}

# Whether the server would only tell something and end.
is_question() {
    local argument
    for argument; do
        case $argument in
        -\? | --help | --print-defaults | -V | --version) return 0 ;;
        esac
    done
    return 1
}

# What the server would use for an option, with the configuration and the command line taken together.
server_value() {
    local option=$1
    shift
    "$@" --verbose --help --log-bin-index="$(mktemp -u)" 2> /dev/null |
        awk -v option="$option" '$1 == option && /^[^ \t]/ { sub(/^[^ \t]+[ \t]+/, ""); print; exit }'
}

check_settings() {
    if [ -z "$MARIADB_ROOT_PASSWORD$MARIADB_ROOT_PASSWORD_HASH$MARIADB_ALLOW_EMPTY_ROOT_PASSWORD$MARIADB_RANDOM_ROOT_PASSWORD" ]; then
        fail "the database is new and no password is given: set one of MARIADB_ROOT_PASSWORD," \
            "MARIADB_ROOT_PASSWORD_HASH, MARIADB_ALLOW_EMPTY_ROOT_PASSWORD and MARIADB_RANDOM_ROOT_PASSWORD"
    fi
    if [ "$MARIADB_USER" = root ]; then
        fail "MARIADB_USER is for another account than root: use MARIADB_ROOT_PASSWORD for that"
    fi
    if [ -n "$MARIADB_USER" ] && [ -z "$MARIADB_PASSWORD$MARIADB_PASSWORD_HASH" ]; then
        say "warning: MARIADB_USER without MARIADB_PASSWORD: that account is not made" >&2
    fi
}

# Text as a literal of SQL.
quote() {
    local text=${1//\\/\\\\}
    printf "'%s'" "${text//\'/\'\'}"
}

sql() {
    mariadb --protocol=socket -uroot -hlocalhost --socket="$SOCKET" ${ROOT_PASSWORD_SET:+-p"$MARIADB_ROOT_PASSWORD"} \
        --database="${DATABASE-mysql}" --comments "$@"
}

make_accounts() {
    local root_as
    if [ -n "$MARIADB_RANDOM_ROOT_PASSWORD" ]; then
        MARIADB_ROOT_PASSWORD=$(pwgen --numerals --capitalize --symbols --remove-chars="'\\" -1 32)
        export MARIADB_ROOT_PASSWORD
        say "GENERATED ROOT PASSWORD: $MARIADB_ROOT_PASSWORD"
    fi
    if [ -n "$MARIADB_ROOT_PASSWORD_HASH" ]; then
        root_as="PASSWORD $(quote "$MARIADB_ROOT_PASSWORD_HASH")"
    else
        root_as=$(quote "$MARIADB_ROOT_PASSWORD")
    fi
    {
        echo "SET @@SESSION.SQL_LOG_BIN = 0;"
        echo "DROP USER IF EXISTS root@'127.0.0.1', root@'::1';"
        echo "EXECUTE IMMEDIATE CONCAT('DROP USER IF EXISTS root@''', @@hostname, '''');"
        if [ "$MARIADB_ROOT_HOST" != localhost ]; then
            echo "CREATE USER root@$(quote "$MARIADB_ROOT_HOST") IDENTIFIED BY $root_as;"
            echo "GRANT ALL ON *.* TO root@$(quote "$MARIADB_ROOT_HOST") WITH GRANT OPTION;"
        fi
        if [ -n "$MARIADB_DATABASE" ]; then
            echo "CREATE DATABASE IF NOT EXISTS \`$MARIADB_DATABASE\`;"
        fi
        if [ -n "$MARIADB_USER" ] && [ -n "$MARIADB_PASSWORD_HASH" ]; then
            echo "CREATE USER $(quote "$MARIADB_USER")@'%' IDENTIFIED BY PASSWORD $(quote "$MARIADB_PASSWORD_HASH");"
        elif [ -n "$MARIADB_USER" ] && [ -n "$MARIADB_PASSWORD" ]; then
            echo "CREATE USER $(quote "$MARIADB_USER")@'%' IDENTIFIED BY $(quote "$MARIADB_PASSWORD");"
        fi
        if [ -n "$MARIADB_DATABASE" ] && [ -n "$MARIADB_USER" ] && [ -n "$MARIADB_PASSWORD$MARIADB_PASSWORD_HASH" ]; then
            echo "GRANT ALL ON \`${MARIADB_DATABASE//_/\\_}\`.* TO $(quote "$MARIADB_USER")@'%';"
        fi
        # Last, since after it the connection needs the password.
        if [ -n "$MARIADB_ROOT_PASSWORD$MARIADB_ROOT_PASSWORD_HASH" ]; then
            echo "ALTER USER root@localhost IDENTIFIED BY $root_as;"
        else
            echo "ALTER USER root@localhost IDENTIFIED VIA mysql_native_password;"
        fi
    } | sql
    if [ -n "$MARIADB_ROOT_PASSWORD" ]; then
        ROOT_PASSWORD_SET=yes
    fi
    if [ -n "$MARIADB_DATABASE" ]; then
        DATABASE=$MARIADB_DATABASE
    fi
}

run_scripts() {
    local script
    for script in /docker-entrypoint-initdb.d/*; do
        case $script in
        *.sh)
            if [ -x "$script" ]; then
                say "running $script"
                "$script"
            else
                say "reading $script"
                # shellcheck disable=SC1090
                . "$script"
            fi
            ;;
        *.sql)
            say "running $script"
            sql < "$script"
            ;;
        *.sql.gz)
            say "running $script"
            gunzip -c "$script" | sql
            ;;
        *.sql.xz)
            say "running $script"
            xzcat "$script" | sql
            ;;
        *.sql.zst)
            say "running $script"
            zstd -dc "$script" | sql
            ;;
        *) say "ignoring $script" ;;
        esac
    done
}

# A server for the scripts: on its socket alone, so that nobody meets it half prepared.
start_for_scripts() {
    local tries
    "$@" --skip-networking --default-time-zone=SYSTEM --socket="$SOCKET" --wsrep_on=OFF --expire-logs-days=0 \
        --skip-slave-start --loose-innodb_buffer_pool_load_at_startup=0 &
    TEMPORARY=$!
    for ((tries = 60; tries > 0; tries--)); do
        if sql --skip-ssl --connect-timeout=2 <<< 'SELECT 1' &> /dev/null; then
            return
        fi
        if ! kill -0 "$TEMPORARY" 2> /dev/null; then
            break
        fi
        sleep 0.5
    done
    fail "the server for the scripts did not start"
}

stop_after_scripts() {
    kill "$TEMPORARY"
    wait "$TEMPORARY" || fail "the server for the scripts did not end well"
}

prepare() {
    local data=$1
    shift
    check_settings
    # Scripts that cannot be read shall be noticed before there is a database without them.
    ls /docker-entrypoint-initdb.d/ > /dev/null
    say "making the database"
    mariadb-install-db --datadir="$data" --rpm --auth-root-authentication-method=normal --skip-test-db \
        --old-mode='UTF8_IS_UTF8MB3' --default-time-zone=SYSTEM --enforce-storage-engine= --skip-log-bin \
        --expire-logs-days=0 --loose-innodb_buffer_pool_load_at_startup=0 > /dev/null
    say "starting a server for the scripts"
    start_for_scripts "$@"
    if [ -z "$MARIADB_INITDB_SKIP_TZINFO" ]; then
        {
            echo "SET @@SESSION.SQL_LOG_BIN = 0;"
            mariadb-tzinfo-to-sql /usr/share/zoneinfo
        } | sql
    fi
    make_accounts
    run_scripts
    stop_after_scripts
    say "MariaDB init process done. Ready for start up."
}

main() {
    local data name
    case ${1-} in
    -*) set -- mariadbd "$@" ;;
    esac
    if { [ "${1-}" = mariadbd ] || [ "${1-}" = mysqld ]; } && ! is_question "$@"; then
        data=$(server_value datadir "$@")
        SOCKET=$(server_value socket "$@")
        data=${data:-/var/lib/mysql/}
        SOCKET=${SOCKET:-/run/mysqld/mysqld.sock}
        if [ "$(id -u)" = 0 ]; then
            mkdir -p "$data" "${SOCKET%/*}"
            find "$data" "${SOCKET%/*}" ! -user mysql -exec chown mysql: {} +
            say "switching to the user mysql"
            exec gosu mysql "${BASH_SOURCE[0]}" "$@"
        fi
        for name in ROOT_PASSWORD ROOT_PASSWORD_HASH DATABASE USER PASSWORD PASSWORD_HASH \
            ALLOW_EMPTY_ROOT_PASSWORD RANDOM_ROOT_PASSWORD INITDB_SKIP_TZINFO; do
            setting "$name"
        done
        setting ROOT_HOST %
        if [ ! -d "$data/mysql" ]; then
            prepare "$data" "$@"
        fi
        # The server that follows does not need to know them.
        unset MARIADB_ROOT_PASSWORD MARIADB_PASSWORD MYSQL_ROOT_PASSWORD MYSQL_PASSWORD
    fi
    exec "$@"
}

main "$@"
