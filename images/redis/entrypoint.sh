#!/bin/sh
# `redis-server ARGS` as the official image takes it. That image is compiled with protected mode
# off, because a container's network is the protection; Debian's build has it on, and would refuse
# every other container. A configuration file that names the setting keeps its own value.
set -eu

umask 0077
case "${1:-}" in
-*) set -- redis-server "$@" ;;
esac
if [ "${1:-}" != redis-server ]; then
    exec "$@"
fi
shift

case "${1:-}" in
'' | -*)
    exec redis-server --protected-mode no "$@"
    ;;
esac
if grep -qE '^[[:space:]]*protected-mode[[:space:]]' "$1"; then
    exec redis-server "$@"
fi
config=$1
shift
exec redis-server "$config" --protected-mode no "$@"
