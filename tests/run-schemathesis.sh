#!/usr/bin/env bash
# Runs schemathesis, which makes requests up from the OpenAPI document, against a node in front of the provider double.
#
#   tests/run-schemathesis.sh PROGRAMS-DIR [schemathesis arguments]
#
# SCHEMATHESIS_SECONDS (100)  time for it
# SCHEMATHESIS_VENV           folder of its virtual environment
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
programs=$(realpath -- "${1:?usage: $0 PROGRAMS-DIR [schemathesis arguments]}")
shift
# shellcheck source=tests/pair.sh
source "$here/pair.sh"
version=4.32.5
venv=${SCHEMATHESIS_VENV:-$(dirname "$programs")/schemathesis-venv}

if [[ $("$venv/bin/schemathesis" --version 2>/dev/null) != *" $version" ]]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"
fi

start_double "$programs"
auth_key=sk-never-printed-0123456789abcdef
# Made-up groups have made-up upstreams: whatever is not on this machine goes to a port where nobody listens.
start_node "$programs" DEFAULT_GROUP=default AUTH_KEY="$auth_key" \
    HTTP_PROXY=http://127.0.0.1:9 HTTPS_PROXY=http://127.0.0.1:9 NO_PROXY=127.0.0.1
"$programs/gpt-load" openapi >"$WORK/openapi.json"

python3 - "$NODE_URL" "$DOUBLE_URL" "$auth_key" <<'PYTHON'
"""Makes the default group, with keys of the double."""
import json
import sys
import urllib.request

node, double, auth_key = sys.argv[1:]


def call(method, path, body):
    headers = {"Authorization": f"Bearer {auth_key}", "Content-Type": "application/json"}
    request = urllib.request.Request(node + path, json.dumps(body).encode(), headers, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return json.load(answer).get("data")


upstreams = [{"url": double, "weight": 1}]
group = call("POST", "/api/groups", {
    "name": "default", "channel_type": "openai", "test_model": "m", "upstreams": upstreams,
})
call("POST", "/api/keys/add-multiple", {"group_id": group["id"], "keys": ["sk-never-printed-one", "sk-never-printed-two"]})
call("PUT", "/api/settings", {"proxy_keys": "pk-never-printed"})
PYTHON

# Checks that are left out, and why:
#   negative_data_rejection   the contract is lenient where the document cannot say so: a page or a filter that does not parse
#                             counts as absent, bodies are read whatever their content type, members of the wrong kind for a
#                             type of group are ignored; tests/node/contract/bad_input.rs checks refusals member by member
#   positive_data_acceptance  what fits a schema may still break a rule between members, or name nothing that exists
#   ignored_auth              one wrong key after another from one address is asked to wait (429), which it takes for a defect;
#                             tests/node/contract/general.rs asks every operation without a key
# Operations that are left out:
#   login                     wrong keys, which are counted against the one address that everything comes from
#   listen                    a stream without an end: tests/node/events.rs
#   getIntegration            takes any method, by contract, which a document cannot say; listIntegrations is the same code
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance
checks+=,response_schema_conformance,unsupported_method,allow_header_conformance,use_after_free,ensure_resource_availability
status=0
(
    cd "$WORK"
    NO_PROXY=127.0.0.1 "$venv/bin/schemathesis" run openapi.json --url "$NODE_URL" \
        -H "Authorization: Bearer $auth_key" --checks "$checks" --exclude-operation-id login --exclude-operation-id getIntegration \
        --exclude-operation-id listen \
        --max-time "${SCHEMATHESIS_SECONDS:-100}" --max-examples 30 --request-timeout 30 --generation-deterministic \
        --generation-with-security-parameters false --suppress-health-check all \
        --warnings off --continue-on-failure "$@"
) || status=$?
"$programs/gpt-load" health --ready --url "$NODE_URL" >/dev/null || status=1
if ((status != 0)); then
    echo "run-schemathesis.sh: failed; the node said:" >&2
    tail -n 20 "$WORK/node.log" >&2
fi
no_secret_printed || status=1
exit "$status"
