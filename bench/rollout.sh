#!/bin/sh
# A docker-compose rollout, as docker-rollout does it: scale the app to two, wait for the new one's
# health, take the old one out of nginx, let it drain, remove it. What it does not do by itself is
# added as its users script it: dump, migrations, workers, cache, and nginx's list of servers, which
# names only what is healthy. Back is the same again with the old version.
# shellcheck source=bench/peers.sh
. "$(dirname "$0")/peers.sh"

DRAIN_SECONDS=2

containers() { docker ps --quiet --no-trunc --filter "label=ytempire.bench=$name" \
    --filter label=com.docker.compose.service=app; }

# point CONTAINER…: nginx sends to these.
point() {
    servers=""
    for container in "$@"; do
        servers="$servers server $(docker inspect --format '{{slice .Name 1}}' "$container"):8000;"
    done
    printf 'upstream app { %s keepalive 64; }\nmap "" $target { default http://app; }\n' \
        "$servers" | docker exec --interactive "${name}_nginx_1" sh -c 'cat >/tmp/active.conf &&
            nginx -e stderr -c /tmp/nginx.conf -t -q &&
            nginx -e stderr -c /tmp/nginx.conf -s reload' 2>/dev/null
}

up() {
    network
    stores
    migrate
    compose up -d --no-deps app worker beat
    new=$(containers)
    healthy "$new"
    point "$new"
}

roll() {
    old=$(containers)
    compose up -d --no-deps --no-recreate --scale app=2 app
    new=$(containers | grep -v "$old")
    healthy "$new"
    say "the new one is healthy"
    point "$old" "$new"
    point "$new"
    say "the old one drains"
    sleep "$DRAIN_SECONDS"
    docker stop "$old" >/dev/null
    docker rm "$old" >/dev/null
    say "the old one is gone"
    compose up -d --no-deps worker beat
    flush -n 1 FLUSHDB
}

deploy() {
    dump
    migrate
    roll
}

rollback() { roll; }

main "$@"
