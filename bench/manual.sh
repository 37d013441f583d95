#!/bin/sh
# The manual's way (7.1 and 5.4): dump, migrate, recreate what runs, wait until it answers. Its
# `stop app_old` names no service that exists; what compose does is stop the old one and start the
# new one. Two mercies: it polls where the manual sleeps 30 s, and it restores no data.
# shellcheck source=bench/peers.sh
. "$(dirname "$0")/peers.sh"

up() {
    network
    stores
    migrate
    compose up -d --no-deps app worker beat
    answers
}

deploy() {
    dump
    migrate
    compose up -d --no-deps app worker beat
    answers
    flush FLUSHALL # the manual's: queued jobs are lost
}

rollback() {
    compose down
    compose up -d
    answers
}

main "$@"
