#!/bin/sh
# The floor: a blue-green deploy by hand, with nothing but `docker`. It takes the steps of ours in
# the order of ours (dump, migrate, app, workers, switch, flush), polls each 100 ms, and leaves out
# what a script by hand leaves out: no record, no lock, no check of what it did, no way back when
# it fails halfway. Nothing that takes these steps can be much faster.
#
#   BENCH_NAME=x BENCH_PORT=18090 bench/floor.sh up | deploy VERSION | rollback | status | down
set -eu

name=${BENCH_NAME:-ytempire-floor}
bind=${BENCH_BIND:-127.0.0.1}
port=${BENCH_PORT:-18090}
backend=ytempire/backend
begun=$(date +%s%N)

hardened="--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges:true"
label="--label ytempire.bench=$name"
limits="--memory 512m --memory-swap 512m --cpus 2 --pids-limit 256"
environment="--env DATABASE_URL=postgres://ytempire:floor@postgres:5432/ytempire
    --env REDIS_URL=redis://redis:6379/0 --env ENVIRONMENT=sandbox"

say() { echo "$(((($(date +%s%N) - begun)) / 1000000)) ms: $*"; }

# run NAME ARGS…: a hardened container of this stack.
run() {
    what=$1 && shift
    # shellcheck disable=SC2086
    docker run --name "$name-$what" --hostname "$name-$what" --network "$name" $label $hardened "$@"
}

# backend WHAT VERSION DOCKER-ARGS… -- COMMAND…: the same, of the product's image.
backend() {
    what=$1 version=$2 && shift 2
    options=""
    while [ "${1:---}" != -- ]; do options="$options $1" && shift; done
    [ $# = 0 ] || shift
    # shellcheck disable=SC2086
    run "$what" $limits $environment --volume "$name-media:/media" $options \
        "$backend:$version" "$@"
}

# poll CONTAINER TEST: inside it, every 100 ms, for at most some minutes.
poll() {
    docker exec "$1" sh -c "n=0; until $2; do
        n=\$((n + 1)); [ \$n -lt 1800 ] || exit 1; sleep 0.1
    done" >/dev/null 2>&1
}

other() { [ "$1" = blue ] && echo green || echo blue; }

live() { docker exec "$name-nginx" head -n 1 /tmp/active.conf | cut -d' ' -f2; }

active() {
    cat <<CONF
# $1
upstream app { server $name-$1:8000 max_fails=0; keepalive 64; }
map "" \$target { default http://app; }
CONF
}

up() {
    docker network create --label "ytempire.bench=$name" "$name" >/dev/null
    run postgres --detach --network-alias postgres --tmpfs /var/run/postgresql:mode=1777 \
        --volume "$name-postgres:/var/lib/postgresql/data" --volume "$name-backups:/backups" \
        --memory 512m --env POSTGRES_PASSWORD=floor --env POSTGRES_USER=ytempire \
        --user 999:999 ytempire-sandbox/postgres:15 >/dev/null
    run redis --detach --network-alias redis --volume "$name-redis:/data" --memory 256m \
        ytempire-sandbox/redis:7 redis-server --appendonly yes >/dev/null
    docker run --rm --user 0:0 --volume "$name-backups:/backups" --entrypoint chown \
        ytempire-sandbox/postgres:15 999:999 /backups
    poll "$name-postgres" "pg_isready -q -h 127.0.0.1 -U ytempire"
}

# The edge comes with the first release, because nginx looks the app's name up when it starts.
edge() {
    run nginx --detach --publish "$bind:$port:8080" --memory 128m \
        --env "CONF=$(cat "$(dirname "$0")/nginx.conf")" --env "ACTIVE=$(active "$1")" \
        ytempire-sandbox/nginx:1.22 sh -c 'echo "$CONF" >/tmp/nginx.conf
            echo "$ACTIVE" >/tmp/active.conf
            exec nginx -e stderr -c /tmp/nginx.conf -g "daemon off;"' >/dev/null
}

dump() {
    docker exec "$name-postgres" sh -c 'set -e
        pg_dump -Fc -U ytempire -f /backups/last.dump ytempire
        pg_restore --list /backups/last.dump >/dev/null'
    say dumped
}

migrate() {
    backend migrate "$1" --rm -- python manage.py migrate --noinput >/dev/null
    say migrated
}

start_app() {
    docker rm --force "$name-$1" >/dev/null 2>&1 || :
    backend "$1" "$2" --detach --restart unless-stopped >/dev/null
    poll "$name-$1" "curl -fsS http://localhost:8000/health"
    say "app $1 healthy"
}

# On a queue of its own, so that it is warm and takes no job; and a beat that is not started yet.
start_workers() {
    docker rm --force "$name-worker-$1" "$name-beat-$1" >/dev/null 2>&1 || :
    backend "worker-$1" "$2" --detach --restart unless-stopped -- \
        celery -A app.celery worker -l info -Q "hold.$1" >/dev/null
    # shellcheck disable=SC2086
    docker create --name "$name-beat-$1" --network "$name" $label $hardened $limits $environment \
        "$backend:$2" celery -A app.celery beat -l info -s /tmp/celerybeat-schedule >/dev/null
    tries=0
    until docker logs "$name-worker-$1" 2>&1 | grep -q ' ready\.$'; do
        tries=$((tries + 1))
        [ "$tries" -lt 1800 ] || exit 1
        sleep 0.1
    done
    say "workers $1 ready"
}

# control COLOUR VERB: whether its workers take jobs.
control() {
    docker exec "$name-$1" celery -A app.celery control -d "celery@$name-worker-$1" "$2" celery \
        >/dev/null
}

switch() {
    active "$1" | docker exec --interactive "$name-nginx" sh -c 'cat >/tmp/active.conf &&
        nginx -e stderr -c /tmp/nginx.conf -t -q &&
        nginx -e stderr -c /tmp/nginx.conf -s reload' 2>/dev/null
    say "traffic to $1"
    jobs "$1"
}

jobs() {
    # Killed: it keeps nothing, and one that has just started would not hear a TERM for 10 s.
    (docker kill "$name-beat-$(other "$1")"; docker start "$name-beat-$1") >/dev/null 2>&1 &
    control "$(other "$1")" cancel_consumer &
    control "$1" add_consumer &
    wait
    say "jobs and beat to $1"
}

flush() {
    docker exec "$name-redis" redis-cli -n 1 FLUSHDB >/dev/null
    say "cache flushed"
}

deploy() {
    idle=blue
    [ -z "$(docker ps --quiet --filter "name=^$name-nginx$")" ] || idle=$(other "$(live)")
    dump
    migrate "$1"
    start_app "$idle" "$1"
    start_workers "$idle" "$1"
    if docker inspect "$name-nginx" >/dev/null 2>&1; then
        switch "$idle"
    else
        edge "$idle"
        docker start "$name-beat-$idle" >/dev/null
        control "$idle" add_consumer
    fi
    flush
}

rollback() {
    switch "$(other "$(live)")"
    flush
}

down() {
    mine="--filter label=ytempire.bench=$name"
    # shellcheck disable=SC2086
    docker ps --all --quiet $mine | xargs -r docker rm --force --volumes >/dev/null
    # shellcheck disable=SC2086
    docker network ls --quiet $mine | xargs -r docker network rm >/dev/null
    docker volume rm --force "$name-postgres" "$name-backups" "$name-redis" "$name-media" >/dev/null
}

case ${1:-} in
up | rollback | down) "$1" ;;
status) live ;;
deploy) deploy "${2:?deploy what? bench/floor.sh deploy VERSION}" ;;
*) echo "usage: $0 up | deploy VERSION | rollback | status | down" >&2 && exit 2 ;;
esac
