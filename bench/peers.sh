# What the scripts of the peers share: sourced, not run. They run on the bench's own engine, which is
# removed with all that is in it.
#   BENCH_NAME=x BENCH_PORT=18091 bench/PEER.sh up VERSION | deploy VERSION | rollback VERSION
set -eu

here=$(cd "$(dirname "$0")" && pwd)
name=${BENCH_NAME:?BENCH_NAME, of containers, network and volumes}
export BENCH_NAME BENCH_PORT="${BENCH_PORT:-18091}" BENCH_BIND="${BENCH_BIND:-127.0.0.1}"
export VERSION="${2:-none}"
CONF=$(cat "$here/nginx.conf")
# By name at each request, so that no switch needs nginx's help; Docker's DNS is asked each second.
ACTIVE='resolver 127.0.0.11 valid=1s ipv6=off;
map "" $target { default http://app:8000; }'
export CONF ACTIVE
backups=${BENCH_FOLDER:-/tmp}
begun=$(date +%s%N)

say() { echo "$(((($(date +%s%N) - begun)) / 1000000)) ms: $*"; }

compose() {
    docker-compose --ansi never --project-name "$name" --file "$here/compose.yaml" "$@" 2>&1
}

network() { docker network create --label "ytempire.bench=$name" "$@" "$name" >/dev/null; }

stores() {
    compose up -d --no-deps postgres redis nginx
    until compose exec -T postgres pg_isready -q -h 127.0.0.1 -U ytempire; do sleep 0.5; done
}

# As manual 7.1 and 7.3 do it.
dump() {
    docker exec "${name}_postgres_1" pg_dump -U ytempire ytempire | gzip >"$backups/$name.sql.gz"
    gunzip -t "$backups/$name.sql.gz"
    say dumped
}

migrate() {
    compose run --rm --no-deps -T app python manage.py migrate --noinput
    say migrated
}

flush() {
    docker exec "${name}_redis_1" redis-cli "$@" >/dev/null
    say "cache flushed"
}

# healthy CONTAINER: as Docker sees it, asked each second (docker-rollout does the same).
healthy() {
    tries=0
    until [ "$(docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 360 ] || exit 1
        sleep "${2:-1}"
    done
}

# answers: every endpoint, through nginx.
answers() {
    for path in /health /api/v1/status /api/v1/channels; do
        docker exec "${name}_nginx_1" sh -c "n=0; until curl -fsS http://localhost:8080$path; do
            n=\$((n + 1)); [ \$n -lt 360 ] || exit 1; sleep 0.5
        done" >/dev/null 2>&1
    done
    say "endpoints answer"
}

main() {
    case ${1:-} in
    up | deploy | rollback) "$1" ;;
    *) echo "usage: $0 up VERSION | deploy VERSION | rollback VERSION" >&2 && exit 2 ;;
    esac
}
