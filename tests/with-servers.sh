#!/usr/bin/env bash
# Runs a command with a PostgreSQL, a MariaDB (or MySQL) and a Redis of its own, on loopback, and removes them afterwards.
#
#   tests/with-servers.sh COMMAND…
#
# The command finds them in its environment; what is set there already is used instead of starting a server:
#   GPT_LOAD_TEST_POSTGRES  postgres://user:password@127.0.0.1:port, of an owner who may create databases
#   GPT_LOAD_TEST_MYSQL     user:password@tcp(127.0.0.1:port)/, likewise
#   GPT_LOAD_TEST_REDIS     redis://127.0.0.1:port
#   GPT_LOAD_TEST_PROMTOOL  Prometheus' promtool, which reads what /metrics says
#   GPT_LOAD_TEST_CA        the certificate that both databases' certificates, for 127.0.0.1 and localhost, come from
#
# A server comes from the programs that are installed, else, for root, from apt-get, else from Docker.
set -euo pipefail
(($# > 0)) || {
    echo "usage: $0 COMMAND…" >&2
    exit 2
}
needed=()
[[ -n ${GPT_LOAD_TEST_POSTGRES:-} ]] || needed+=(postgres)
[[ -n ${GPT_LOAD_TEST_MYSQL:-} ]] || needed+=(mysql)
[[ -n ${GPT_LOAD_TEST_REDIS:-} ]] || needed+=(redis)
if ((${#needed[@]} == 0)) && [[ -n ${GPT_LOAD_TEST_PROMTOOL:-} ]]; then
    exec "$@"
fi

# shellcheck source=tests/servers.sh
source "$(dirname "${BASH_SOURCE[0]}")/servers.sh"

for server in "${needed[@]}"; do
    find_server "$server"
done
find_promtool
if ((${#needed[@]} == 0)); then
    run_command "$@"
fi
make_certificates
for server in "${needed[@]}"; do
    "start_$server"
done
for server in "${needed[@]}"; do
    await_server "$server"
done
run_command "$@"
