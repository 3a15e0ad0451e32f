#!/bin/sh
# Runs gpt-load in a container, never as root: a data folder that belongs to root, as a folder of the host does, is handed to
# the user gpt-load first. Started as another user (docker run --user, Kubernetes) it runs gpt-load at once.
#
#   docker-entrypoint [gpt-load] [COMMAND] …
set -eu

if [ "${1:-}" = gpt-load ]; then
    shift
fi

if [ "$(id -u)" != 0 ]; then
    exec gpt-load "$@"
fi

data=${DATA_DIR:-/app/data}
mkdir -p "$data"
find "$data" ! -user gpt-load -exec chown -h gpt-load:gpt-load {} +

as_gpt_load() {
    setpriv --reuid=gpt-load --regid=gpt-load --init-groups --inh-caps=-all "$@"
}

keys=${KEYS_FILE:-keys.txt}
if [ -f "$keys" ] && ! as_gpt_load test -r "$keys"; then
    echo "docker-entrypoint: $keys cannot be read by the user gpt-load (uid $(id -u gpt-load)); on the host: chmod o+r, or chown it" >&2
    exit 2
fi
exec setpriv --reuid=gpt-load --regid=gpt-load --init-groups --inh-caps=-all --no-new-privs gpt-load "$@"
