#!/bin/sh
# Docker Swarm, `start-first`: the new task beside the old one, until it is healthy. Behind nginx by
# DNS round robin, because the routing mesh needs IPVS in the kernel, which test machines lack. Dump,
# migrations and the cache are added as its users script them. It makes the engine a swarm, so it
# runs only on an engine that is the bench's own.
# shellcheck source=bench/peers.sh
. "$(dirname "$0")/peers.sh"

# serve PART VERSION ORDER COMMAND…
serve() {
    part=$1 version=$2 order=$3 && shift 3
    docker service create --quiet --name "$name-$part" --network "name=$name,alias=$part" \
        --endpoint-mode dnsrr --no-resolve-image --container-label "ytempire.bench=$name" \
        --label "ytempire.bench=$name" --update-order "$order" --rollback-order "$order" \
        --limit-memory 512m --limit-cpu 2 --limit-pids 256 --read-only --cap-drop ALL \
        --mount type=tmpfs,destination=/tmp,tmpfs-mode=1777 \
        --mount "type=volume,source=${name}_media,destination=/media" \
        --env DATABASE_URL=postgres://ytempire:bench@postgres:5432/ytempire \
        --env REDIS_URL=redis://redis:6379/0 --env ENVIRONMENT=sandbox \
        --health-interval 2s --health-timeout 5s --health-retries 5 --health-start-period 240s \
        "ytempire/backend:$version" "$@" >/dev/null
}

up() {
    if [ "$(docker info --format '{{.Swarm.LocalNodeState}}')" = inactive ]; then
        docker swarm init --advertise-addr 127.0.0.1 >/dev/null
    fi
    network --driver overlay --attachable
    stores
    migrate
    serve app "$VERSION" start-first
    serve worker "$VERSION" stop-first celery -A app.celery worker -l info
    serve beat "$VERSION" stop-first celery -A app.celery beat -l info \
        -s /tmp/celerybeat-schedule
    answers
}

deploy() {
    dump
    migrate
    for part in app worker beat; do
        docker service update --quiet --no-resolve-image --image "ytempire/backend:$VERSION" \
            "$name-$part" >/dev/null
        say "$part updated"
    done
    flush -n 1 FLUSHDB
}

rollback() {
    for part in app worker beat; do
        docker service rollback --quiet "$name-$part" >/dev/null
        say "$part rolled back"
    done
    flush -n 1 FLUSHDB
}

main "$@"
