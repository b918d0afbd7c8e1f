#!/usr/bin/env bash
# Runs the server, or any other command. Before the first start it makes the cluster: locale and superuser from the
# environment, then the scripts of /docker-entrypoint-initdb.d.
set -euo pipefail

say() {
    printf '%s: %s\n' "${0##*/}" "$*"
}

fail() {
    say "error: $*" >&2
    exit 1
}

# Takes a setting from its variable, else from the file that the variable with _FILE names, else the default.
setting() {
    local name=$1 default=${2-} file="${1}_FILE"
    if [ -n "${!name-}" ] && [ -n "${!file-}" ]; then
        fail "both $name and $file are set"
    fi
    if [ -n "${!file-}" ]; then
        printf -v "$name" '%s' "$(< "${!file}")"
    else
        printf -v "$name" '%s' "${!name:-$default}"
    fi
    export "${name?}"
    unset "$file"
}

# Whether the server would only tell something and end.
is_question() {
    local argument
    for argument; do
        case $argument in
        --help | -\? | --version | -V | --describe-config | -C) return 0 ;;
        esac
    done
    return 1
}

# Makes the directories, with their owner where we may choose it.
make_directories() {
    local socket_dir=/var/run/postgresql
    mkdir -p "$PGDATA" "$socket_dir" 2> /dev/null || true
    if [ -n "${POSTGRES_INITDB_WALDIR-}" ]; then
        mkdir -p "$POSTGRES_INITDB_WALDIR"
        chmod 700 "$POSTGRES_INITDB_WALDIR"
    fi
    chmod 00700 "$PGDATA" 2> /dev/null || true
    chmod 03775 "$socket_dir" 2> /dev/null || true
    if [ "$(id -u)" = 0 ]; then
        find "$PGDATA" ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"} ! -user postgres -exec chown postgres {} +
        find "$socket_dir" ! -user postgres -exec chown postgres {} + || true
    fi
}

# Refuses what would be an open door by mistake.
check_settings() {
    if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
        fail "no password for the superuser: set POSTGRES_PASSWORD to a value that is not empty," \
            "or POSTGRES_HOST_AUTH_METHOD=trust to let everybody in without one (not recommended)"
    fi
    if [ "$POSTGRES_HOST_AUTH_METHOD" = trust ]; then
        say "warning: POSTGRES_HOST_AUTH_METHOD=trust: whoever reaches the port is let in without a password" >&2
    fi
}

# initdb asks for the name of the user it runs as; with a number that no account has, nss_wrapper gives it one.
name_this_user() {
    local library
    if getent passwd "$(id -u)" > /dev/null; then
        return
    fi
    for library in /usr/lib/*/libnss_wrapper.so /usr/lib/libnss_wrapper.so; do
        [ -s "$library" ] || continue
        NSS_WRAPPER_PASSWD=$(mktemp)
        NSS_WRAPPER_GROUP=$(mktemp)
        printf 'postgres:x:%s:%s:PostgreSQL:%s:/bin/false\n' "$(id -u)" "$(id -g)" "$PGDATA" > "$NSS_WRAPPER_PASSWD"
        printf 'postgres:x:%s:\n' "$(id -g)" > "$NSS_WRAPPER_GROUP"
        export LD_PRELOAD=$library NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
        return
    done
}

forget_this_user() {
    if [ -n "${NSS_WRAPPER_PASSWD-}" ]; then
        rm -f "$NSS_WRAPPER_PASSWD" "$NSS_WRAPPER_GROUP"
        unset LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
    fi
}

make_cluster() {
    name_this_user
    local -a options=()
    if [ -n "${POSTGRES_INITDB_WALDIR-}" ]; then
        options+=(--waldir "$POSTGRES_INITDB_WALDIR")
    fi
    # POSTGRES_INITDB_ARGS is a line of shell words, as a user would type them.
    eval "initdb --username=\"\$POSTGRES_USER\" --pwfile=<(printf '%s\n' \"\$POSTGRES_PASSWORD\") \
        ${options[*]@Q} ${POSTGRES_INITDB_ARGS-}"
    forget_this_user
}

# Lets clients from elsewhere in, by the method of the variable or else the server's own one.
open_to_the_network() {
    local method=$POSTGRES_HOST_AUTH_METHOD
    if [ "${1-}" = postgres ]; then
        shift
    fi
    if [ -z "$method" ]; then
        method=$(postgres -C password_encryption "$@")
    fi
    {
        printf '\n'
        if [ "$method" = trust ]; then
            printf '# no password is asked for: anybody who reaches the port may do anything\n'
        fi
        printf 'host all all all %s\n' "$method"
    } >> "$PGDATA/pg_hba.conf"
}

# A server for the scripts: on its socket alone, so that nobody meets it half prepared.
start_for_scripts() {
    if [ "${1-}" = postgres ]; then
        shift
    fi
    set -- "$@" -c listen_addresses='' -p "${PGPORT:-5432}"
    PGUSER="${PGUSER:-$POSTGRES_USER}" pg_ctl -D "$PGDATA" -o "${*@Q}" -w start
}

stop_after_scripts() {
    PGUSER="${PGUSER:-$POSTGRES_USER}" pg_ctl -D "$PGDATA" -m fast -w stop
}

run_sql() {
    local -a database=()
    if [ -n "$POSTGRES_DB" ]; then
        database=(--dbname "$POSTGRES_DB")
    fi
    PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --no-password --no-psqlrc \
        "${database[@]}" "$@"
}

make_database() {
    local found
    found=$(POSTGRES_DB='' run_sql --dbname postgres --set name="$POSTGRES_DB" --tuples-only \
        <<< "SELECT 1 FROM pg_database WHERE datname = :'name';")
    if [ -z "$found" ]; then
        POSTGRES_DB='' run_sql --dbname postgres --set name="$POSTGRES_DB" <<< 'CREATE DATABASE :"name";'
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
            run_sql -f "$script"
            ;;
        *.sql.gz)
            say "running $script"
            gunzip -c "$script" | run_sql
            ;;
        *.sql.xz)
            say "running $script"
            xzcat "$script" | run_sql
            ;;
        *.sql.zst)
            say "running $script"
            zstd -dc "$script" | run_sql
            ;;
        *) say "ignoring $script" ;;
        esac
        printf '\n'
    done
}

prepare() {
    setting POSTGRES_PASSWORD
    setting POSTGRES_USER postgres
    setting POSTGRES_DB "$POSTGRES_USER"
    setting POSTGRES_INITDB_ARGS
    : "${POSTGRES_HOST_AUTH_METHOD:=}"
    if [ -s "$PGDATA/PG_VERSION" ]; then
        printf '\nPostgreSQL finds a cluster in %s and makes none\n\n' "$PGDATA"
        return
    fi
    check_settings
    # Scripts that cannot be read shall be noticed before there is a cluster without them.
    ls /docker-entrypoint-initdb.d/ > /dev/null
    make_cluster
    open_to_the_network "$@"
    export PGPASSWORD="${PGPASSWORD-$POSTGRES_PASSWORD}"
    start_for_scripts "$@"
    make_database
    run_scripts
    stop_after_scripts
    unset PGPASSWORD
    printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

main() {
    case ${1-} in
    -*) set -- postgres "$@" ;;
    esac
    if [ "${1-}" = postgres ] && ! is_question "$@"; then
        make_directories
        if [ "$(id -u)" = 0 ]; then
            exec gosu postgres "${BASH_SOURCE[0]}" "$@"
        fi
        prepare "$@"
    fi
    exec "$@"
}

main "$@"
