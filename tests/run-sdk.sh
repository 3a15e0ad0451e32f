#!/usr/bin/env bash
# Runs the official Python SDKs against a node in front of the provider double.
#
#   tests/run-sdk.sh PROGRAMS-DIR [pytest arguments]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
programs=${1:?usage: $0 PROGRAMS-DIR [pytest arguments]}
shift
# shellcheck source=tests/pair.sh
source "$here/pair.sh"

start_double "$programs"
start_node "$programs" DEFAULT_GROUP=openai

python3 - "$NODE_URL" "$DOUBLE_URL" "$WORK/data/auth_key" "$WORK/proxy_key" <<'PYTHON'
"""Makes one group per channel with keys of the double, and notes a proxy key for the SDKs."""
import json
import secrets
import sys
import urllib.request

node, double, key_file, proxy_key_file = sys.argv[1:]
with open(key_file) as file:
    management_key = file.read().strip()


def call(method, path, body):
    headers = {"Authorization": f"Bearer {management_key}", "Content-Type": "application/json"}
    request = urllib.request.Request(node + path, json.dumps(body).encode(), headers, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return json.load(answer).get("data")


proxy_key = "sk-never-printed-" + secrets.token_urlsafe(24)
call("PUT", "/api/settings", {"proxy_keys": proxy_key})
for channel in ["openai", "openai-response", "anthropic", "gemini"]:
    group = call("POST", "/api/groups", {
        "name": channel, "channel_type": channel, "test_model": "m", "upstreams": [{"url": double, "weight": 1}],
    })
    # Tests of faults put the keys that they meet to rest; the tests after them need others.
    keys = [f"sk-never-printed-{channel}-{number:08}" for number in range(200)]
    call("POST", "/api/keys/add-multiple", {"group_id": group["id"], "keys": keys})
with open(proxy_key_file, "w") as file:
    file.write(proxy_key)
PYTHON

status=0
GPT_LOAD_URL=$NODE_URL GPT_LOAD_PROXY_KEY=$(cat "$WORK/proxy_key") NO_PROXY=127.0.0.1,localhost \
    "$here/sdk/run.sh" "${SDK_VENV:-$(dirname "$programs")/sdk-venv}" "$@" || status=$?
if ((status != 0)); then
    echo "run-sdk.sh: the SDKs failed; the node said:" >&2
    tail -n 20 "$WORK/node.log" >&2
fi
no_secret_printed || status=1
exit "$status"
