#!/usr/bin/env bash
# Keeps STREAMS (1000) streams open for RUN_SECONDS (60) through a node, then compares what clients, log rows, keys and hours
# counted, and how the node's memory went. Ends with 1 when a number differs or memory grew.
#
#   tests/soak.sh PROGRAMS-DIR
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
programs=${1:?usage: $0 PROGRAMS-DIR}
streams=${STREAMS:-1000} seconds=${RUN_SECONDS:-60}
# shellcheck source=tests/pair.sh
source "$here/pair.sh"

# Twenty events a quarter of a second apart: streams of five seconds.
start_double "$programs" --record 0 --base 'events=20;delay-event-ms=250'
printf 'sk-soak-%s\n' {1..100} >"$WORK/keys.txt"
AUTH_KEY=soak-$RANDOM$RANDOM$RANDOM$RANDOM
start_node "$programs" AUTH_KEY="$AUTH_KEY" OPENAI_BASE_URL="$DOUBLE_URL" KEYS_FILE="$WORK/keys.txt" \
    MAX_CONCURRENT_REQUESTS=$((streams * 2))
node=${PIDS[1]}
resident() { awk '/^VmRSS/ {print $2}' "/proc/$node/status"; }

"$programs/load" --addr "${NODE_URL#http://}" --key "$AUTH_KEY" --connections "$streams" --stream --seconds "$seconds" \
    >"$WORK/load.json" &
load=$!
began=$SECONDS memory=()
while kill -0 "$load" 2>/dev/null; do
    sleep 5
    memory+=("$(resident)")
    echo "after $((SECONDS - began)) s: ${memory[-1]} KiB resident"
done
wait "$load"
# A clean stop brings every row into the database.
kill -TERM "$node"
wait "$node" || true

python3 - "$WORK/load.json" "$WORK/data/gpt-load.db" "${memory[@]}" <<'PYTHON'
import json, sqlite3, sys

load = json.load(open(sys.argv[1]))
database = sqlite3.connect(sys.argv[2])
memory = [int(size) for size in sys.argv[3:]]
one = lambda query: database.execute(query).fetchone()[0]
counts = {
    "whole answers at clients": load["answers"],
    "final log rows": one("SELECT COUNT(*) FROM request_logs WHERE request_type = 'final'"),
    "successful rows": one("SELECT COUNT(*) FROM request_logs WHERE is_success = 1"),
    "distinct requests": one("SELECT COUNT(DISTINCT request_id) FROM request_logs"),
    "key counters": one("SELECT SUM(request_count) FROM api_keys"),
    "hourly statistics": one("SELECT SUM(success_count) FROM group_hourly_stats"),
}
for name, count in counts.items():
    print(f"{name:26} {count}")
# Caches fill in the first half; from then on the largest reading may be a tenth above the smallest.
settled = memory[len(memory) // 2:-1] or memory
growth = max(settled) / min(settled) - 1
print(f"{'failures':26} {load['failures']}\n{'memory after warming up':26} {min(settled)} to {max(settled)} KiB (+{growth:.1%})")
sys.exit(0 if len(set(counts.values())) == 1 and load["failures"] == 0 and growth <= 0.10 else 1)
PYTHON
