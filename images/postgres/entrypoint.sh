#!/bin/sh
# Starts PostgreSQL, and on a fresh volume makes the cluster first, with the official image's
# variables: POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD (each also as NAME_FILE),
# POSTGRES_INITDB_ARGS, and the scripts in /docker-entrypoint-initdb.d.
#
# A first start may be killed at any point. A marker lies in the data directory until the cluster
# is complete; while it is there nobody has been served over the network, so what it marks is
# thrown away and made anew.
set -eu

marker=$PGDATA/.initialising
# Its own folder: `pg_isready` and `psql` find nothing at the usual place before init is done.
private_socket=/tmp/postgres-init

say() { echo "postgres-entrypoint: $*" >&2; }

refuse() {
    say "$*"
    exit 1
}

# from_file NAME DEFAULT: $NAME, or what is in the file that $NAME_FILE names, never both.
from_file() {
    eval "value=\${$1:-} file=\${${1}_FILE:-}"
    if [ -n "$value" ] && [ -n "$file" ]; then
        refuse "$1 and ${1}_FILE are both set: keep one"
    fi
    if [ -n "$file" ]; then
        value=$(cat "$file") || refuse "${1}_FILE names $file, which can't be read by uid $(id -u)"
    fi
    [ -n "$value" ] || value=$2
    export "$1=$value"
    unset "${1}_FILE"
}

is_empty() { [ -z "$(ls -A "$1")" ]; }

make_cluster() {
    secret=$(mktemp /tmp/postgres-password.XXXXXX)
    printf '%s\n' "$POSTGRES_PASSWORD" >"$secret"
    # initdb wants an empty directory, and the marker is in this one: it gets its own.
    # POSTGRES_INITDB_ARGS is a list of words.
    # shellcheck disable=SC2086
    initdb --pgdata "$PGDATA/.new" --username "$POSTGRES_USER" --pwfile "$secret" \
        --encoding UTF8 --auth-local trust --auth-host scram-sha-256 ${POSTGRES_INITDB_ARGS:-}
    rm -f "$secret"
    mv "$PGDATA"/.new/* "$PGDATA"/
    rmdir "$PGDATA/.new"
    printf '\nhost all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
    # The official image listens on every address of its container.
    printf "\nlisten_addresses = '*'\n" >>"$PGDATA/postgresql.conf"
}

run_script() {
    case $1 in
    *.sh)
        say "running $1"
        if [ -x "$1" ]; then "$1"; else sh "$1"; fi
        ;;
    *.sql)
        say "running $1"
        psql --set ON_ERROR_STOP=1 --no-psqlrc --no-password --quiet --file "$1"
        ;;
    *) say "ignoring $1: neither .sh nor .sql" ;;
    esac
}

run_scripts() {
    mkdir -p "$private_socket"
    pg_ctl --pgdata "$PGDATA" --wait --silent \
        --options "-c listen_addresses='' -c unix_socket_directories=$private_socket" start
    export PGHOST="$private_socket" PGUSER="$POSTGRES_USER" PGDATABASE=postgres
    if [ "$POSTGRES_DB" != postgres ]; then
        psql --set ON_ERROR_STOP=1 --no-psqlrc --quiet --set db="$POSTGRES_DB" <<'SQL'
CREATE DATABASE :"db";
SQL
    fi
    export PGDATABASE="$POSTGRES_DB"
    for script in /docker-entrypoint-initdb.d/*; do
        [ -f "$script" ] || continue
        run_script "$script"
    done
    pg_ctl --pgdata "$PGDATA" --mode fast --wait --silent stop
    unset PGHOST PGUSER PGDATABASE
}

initialise() {
    from_file POSTGRES_PASSWORD ''
    from_file POSTGRES_USER postgres
    from_file POSTGRES_DB "$POSTGRES_USER"
    [ -n "$POSTGRES_PASSWORD" ] ||
        refuse "the data directory is empty: set POSTGRES_PASSWORD_FILE (or POSTGRES_PASSWORD)"
    : >"$marker"
    make_cluster
    run_scripts
    sync "$PGDATA"
    rm -f "$marker"
    say "the cluster is complete"
}

prepare() {
    [ "$(id -u)" != 0 ] || refuse "PostgreSQL doesn't run as root: leave the image's user, 999"
    mkdir -p "$PGDATA" 2>/dev/null || true
    [ -w "$PGDATA" ] || refuse "$PGDATA isn't writable by uid $(id -u): give the volume to it"
    chmod 0700 "$PGDATA" 2>/dev/null || true
    mkdir -p /var/run/postgresql 2>/dev/null || true

    if [ -e "$marker" ]; then
        say "an earlier first start was interrupted: beginning it again"
        # The marker stays until the end: this may be interrupted as well.
        find "$PGDATA" -mindepth 1 ! -path "$marker" -delete
        rm -f "$marker"
    fi
    if [ -s "$PGDATA/PG_VERSION" ]; then
        return
    fi
    is_empty "$PGDATA" ||
        refuse "$PGDATA holds files but no cluster, and they aren't ours to delete"
    initialise
}

case "${1:-}" in
'' | -*) set -- postgres "$@" ;;
esac
if [ "$1" = postgres ]; then
    prepare
    # The server needs none of it, and its environment can be read for as long as it runs.
    unset POSTGRES_PASSWORD POSTGRES_PASSWORD_FILE
fi
exec "$@"
