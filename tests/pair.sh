# shellcheck shell=bash
# A provider double and a node in front of it; sourced by the scripts beside it.
#
# start_double and start_node set DOUBLE_URL and NODE_URL; WORK is a folder that disappears in the end, as do the programs.

WORK=$(mktemp -d "${TMPDIR:-/tmp}/gpt-load.XXXXXX")
PIDS=()

end_pair() {
    local pid
    for pid in "${PIDS[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    for pid in "${PIDS[@]}"; do
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$WORK"
}
trap end_pair EXIT

# Fails when a program printed a secret: every secret that the scripts use has this word in it.
no_secret_printed() {
    local marker=never-printed
    if grep -aq "$marker" "$WORK"/*.log; then
        echo "$(basename "$0"): a program printed a secret; it is … here:" >&2
        grep -a "$marker" "$WORK"/*.log | sed "s/[^ \"']*${marker}[^ \"']*/…/g" | head -n 20 >&2
        return 1
    fi
}
trap 'exit 130' INT
trap 'exit 143' TERM

# Prints a port of the loopback address that nobody listens on.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# wait_for PID SECONDS LOG COMMAND…: until the command succeeds; tells what the program said when it ends before or takes too long.
wait_for() {
    local pid=$1 seconds=$2 log=$3
    shift 3
    local deadline=$((SECONDS + seconds))
    until "$@" >/dev/null 2>&1; do
        if ! kill -0 "$pid" 2>/dev/null || ((SECONDS >= deadline)); then
            echo "$(basename "$0"): a program did not start; it said:" >&2
            cat "$log" >&2
            return 1
        fi
        sleep 0.1
    done
}

# start_double PROGRAMS-DIR [ARGUMENT…]
start_double() {
    local programs=$1
    shift
    "$programs/provider-double" --addr 127.0.0.1:0 "$@" >"$WORK/double.log" 2>&1 &
    PIDS+=($!)
    wait_for $! 10 "$WORK/double.log" grep -q '^provider double at ' "$WORK/double.log"
    # shellcheck disable=SC2034 # for the scripts that source this
    DOUBLE_URL=$(sed -n 's/^provider double at //p' "$WORK/double.log")
}

# start_node PROGRAMS-DIR [NAME=VALUE…]: a node without any configuration but this. Its output is in $WORK/node.log.
start_node() {
    local programs port
    programs=$(cd "$1" && pwd)
    shift
    port=${PORT:-$(free_port)}
    NODE_URL=http://127.0.0.1:$port
    mkdir -p "$WORK/node"
    (
        cd "$WORK/node" || exit
        exec env -i PATH="$PATH" HOST=127.0.0.1 PORT="$port" DATA_DIR="$WORK/data" "$@" "$programs/gpt-load"
    ) >"$WORK/node.log" 2>&1 &
    PIDS+=($!)
    wait_for $! 30 "$WORK/node.log" "$programs/gpt-load" health --ready --url "$NODE_URL"
}
