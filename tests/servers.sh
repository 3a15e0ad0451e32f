# shellcheck shell=bash
# Database servers that live as long as a command; sourced by with-servers.sh.
#
# WORK is a folder that disappears in the end. Servers do not run as root, which PostgreSQL refuses: then they run as nobody.

declare -A PIDS CONTAINERS PORTS SOURCE_OF
PASSWORD=
COMMAND_PID=
WORK=$(mktemp -d "${TMPDIR:-/tmp}/gpt-load-servers.XXXXXX")
# The servers may pass through, but not list it.
chmod 711 "$WORK"

declare -A PACKAGES=([postgres]=postgresql [mysql]=mariadb-server [redis]=redis-server)
declare -A IMAGES=([postgres]=postgres:17 [mysql]=mariadb:11 [redis]=redis:7)

end_servers() {
    local server
    for server in "${!PIDS[@]}"; do
        # PostgreSQL's way to end at once without leaving shared memory behind; while it is a shell yet, that ignores it.
        if [[ $server == postgres ]]; then
            kill -QUIT -- "-${PIDS[$server]}" 2>/dev/null || true
            kill -TERM -- "-${PIDS[$server]}" 2>/dev/null || true
        else
            kill -KILL -- "-${PIDS[$server]}" 2>/dev/null || true
        fi
    done
    for server in "${!PIDS[@]}"; do
        wait "${PIDS[$server]}" 2>/dev/null || true
    done
    for server in "${!CONTAINERS[@]}"; do
        docker rm -f "${CONTAINERS[$server]}" >/dev/null 2>&1 || true
    done
    rm -rf "$WORK"
}
trap end_servers EXIT
trap 'end_command INT 130' INT
trap 'end_command TERM 143' TERM

# Ends with the command, which is told first; before there is one, at once.
end_command() {
    if [[ -z $COMMAND_PID ]]; then
        exit "$2"
    fi
    kill "-$1" "$COMMAND_PID" 2>/dev/null || true
}

# Runs the command and answers its status.
run_command() {
    export GPT_LOAD_TEST_POSTGRES GPT_LOAD_TEST_MYSQL GPT_LOAD_TEST_REDIS GPT_LOAD_TEST_PROMTOOL GPT_LOAD_TEST_CA
    # In the background, so that a signal to this script is handled at once. What runs there ignores Ctrl-C unless told so.
    (
        trap - INT QUIT
        exec "$@"
    ) <&0 &
    COMMAND_PID=$!
    local status=0
    # A signal ends the wait, not the command.
    while :; do
        status=0
        wait "$COMMAND_PID" || status=$?
        kill -0 "$COMMAND_PID" 2>/dev/null || break
    done
    exit "$status"
}

fail() {
    echo "with-servers.sh: $*" >&2
    exit 1
}

# find_server NAME: where it comes from, installing it if need be.
find_server() {
    if installed "$1"; then
        SOURCE_OF[$1]=program
    elif install_package "${PACKAGES[$1]}" && installed "$1"; then
        SOURCE_OF[$1]=program
    elif command -v docker >/dev/null && docker info >/dev/null 2>&1; then
        SOURCE_OF[$1]=docker
    else
        fail "${PACKAGES[$1]} is missing; on Debian: apt-get install ${PACKAGES[*]} openssl; or start Docker"
    fi
}

# Finds promtool, installing the package that has it if need be.
find_promtool() {
    [[ -z ${GPT_LOAD_TEST_PROMTOOL:-} ]] || return 0
    command -v promtool >/dev/null || install_package prometheus ||
        fail "promtool is missing; on Debian: apt-get install prometheus; else set GPT_LOAD_TEST_PROMTOOL to where it is"
    GPT_LOAD_TEST_PROMTOOL=$(command -v promtool)
}

installed() {
    case $1 in
    postgres) POSTGRES_BIN=$(postgres_programs) ;;
    mysql) MYSQLD=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v mariadbd || PATH=$PATH:/usr/sbin:/usr/local/sbin command -v mysqld) ;;
    redis) command -v redis-server >/dev/null ;;
    esac
}

# Debian keeps them out of the PATH, one folder for each version.
postgres_programs() {
    local folder newest=
    for folder in /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin; do
        if [[ -x $folder/initdb && -x $folder/postgres ]]; then
            newest=$folder
        fi
    done
    if [[ -z $newest ]] && command -v initdb >/dev/null && command -v postgres >/dev/null; then
        newest=$(dirname "$(command -v initdb)")
    fi
    [[ -n $newest ]] && echo "$newest"
}

# install_package NAME: by apt-get, as root, without starting the system's own service.
install_package() {
    ((EUID == 0)) && command -v apt-get >/dev/null || return 1
    echo "with-servers.sh: installing $1" >&2
    local policy=/usr/sbin/policy-rc.d status=0
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    else
        policy=
    fi
    {
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$1" openssl ||
            { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$1" openssl; }
    } </dev/null >"$WORK/apt.log" 2>&1 || status=$?
    [[ -z $policy ]] || rm -f "$policy"
    if ((status != 0)); then
        tail -n 5 "$WORK/apt.log" >&2
    fi
    return "$status"
}

# Makes a certificate of authority and one of a server, good for two days.
make_certificates() {
    local tls=$WORK/tls
    command -v openssl >/dev/null || fail "openssl is missing, which makes the servers' certificates"
    PASSWORD=$(openssl rand -hex 12)
    mkdir "$tls"
    {
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=GPT-Load tests" \
            -keyout "$tls/ca.key" -out "$tls/ca.pem"
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=localhost" \
            -keyout "$tls/server.key" -out "$tls/server.csr"
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n' >"$tls/ext"
        openssl x509 -req -in "$tls/server.csr" -CA "$tls/ca.pem" -CAkey "$tls/ca.key" -CAcreateserial -days 2 \
            -extfile "$tls/ext" -out "$tls/server.pem"
    } >"$tls/log" 2>&1 || {
        cat "$tls/log" >&2
        fail "openssl made no certificate"
    }
    rm "$tls/ca.key"
    chmod 755 "$tls"
    chmod 644 "$tls/ca.pem" "$tls/server.pem"
    GPT_LOAD_TEST_CA=$tls/ca.pem
}

# folder NAME: a folder that its server owns, with a key of its own, since servers refuse one that others may read.
folder() {
    local folder=$WORK/$1
    mkdir "$folder"
    cp "$WORK/tls/server.key" "$folder/server.key"
    chmod 600 "$folder/server.key"
    if ((EUID == 0)) && [[ ${SOURCE_OF[$1]} == program ]]; then
        chown -R nobody: "$folder"
    fi
    echo "$folder"
}

# Prints a port of the loopback address that nobody listens on; below those that outgoing connections get.
free_port() {
    local port
    while :; do
        port=$((10000 + RANDOM % 10000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# as_server COMMAND…: not as root, and, where that can be had, never outliving this script. Replaces the shell.
as_server() {
    # PostgreSQL would leave shared memory behind.
    local death=KILL
    [[ $1 != */postgres ]] || death=QUIT
    if ((EUID == 0)); then
        command -v setpriv >/dev/null || fail "setpriv (of util-linux) is missing; or run this as another user than root"
        exec setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups --pdeathsig "$death" "$@"
    elif setpriv --pdeathsig KILL true 2>/dev/null; then
        exec setpriv --pdeathsig "$death" "$@"
    fi
    exec "$@"
}

# plain COMMAND…: the same for what makes a server's files.
plain() {
    (as_server "$@")
}

# background NAME COMMAND…: starts a server, in a process group of its own with all that it starts.
background() {
    set -m
    (
        # What it starts stays in its group, and what ends this script is not its business.
        set +m
        trap - EXIT INT TERM QUIT
        "${@:2}"
    ) </dev/null >"$WORK/$1.log" 2>&1 &
    PIDS[$1]=$!
    set +m
}

# container NAME PORT [docker run options] -- the server with its arguments
container() {
    local server=$1 port=$2 options=()
    shift 2
    while [[ $1 != -- ]]; do
        options+=("$1")
        shift
    done
    shift
    # The key has to belong to the user that the image runs its server as, who has the image's name.
    # shellcheck disable=SC2016 # for the shell within
    CONTAINERS[$server]=$(docker run -d --rm -p "127.0.0.1:${PORTS[$server]}:$port" -v "$WORK/$server/server.key:/given.key:ro" \
        -v "$WORK/tls:/tls:ro" "${options[@]}" --entrypoint sh "${IMAGES[$server]}" \
        -c 'install -o "$1" -m 600 /given.key /key && shift && exec docker-entrypoint.sh "$@"' _ "$server" "$@") ||
        fail "docker did not start ${IMAGES[$server]}"
}

POSTGRES_OPTIONS=(-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=400
    -c shared_buffers=32MB -c wal_level=minimal -c max_wal_senders=0 -c ssl=on)

start_postgres() {
    local port folder
    port=$(free_port)
    folder=$(folder postgres)
    PORTS[postgres]=$port
    GPT_LOAD_TEST_POSTGRES=postgres://postgres:$PASSWORD@127.0.0.1:$port
    if [[ ${SOURCE_OF[postgres]} == docker ]]; then
        container postgres 5432 -e POSTGRES_PASSWORD="$PASSWORD" -- postgres "${POSTGRES_OPTIONS[@]}" \
            -c ssl_cert_file=/tls/server.pem -c ssl_key_file=/key
        return
    fi
    background postgres make_postgres "$folder" "$port"
}

make_postgres() {
    local folder=$1 port=$2
    printf '%s' "$PASSWORD" | plain tee "$folder/password" >/dev/null
    plain "$POSTGRES_BIN/initdb" -D "$folder/data" -U postgres --pwfile="$folder/password" -A scram-sha-256 --no-sync \
        --no-instructions -E UTF8 --locale=C || exit
    as_server "$POSTGRES_BIN/postgres" -D "$folder/data" -p "$port" "${POSTGRES_OPTIONS[@]}" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories= -c ssl_cert_file="$WORK/tls/server.pem" -c ssl_key_file="$folder/server.key"
}

MYSQL_OPTIONS=(--skip-log-bin --skip-name-resolve --max-connections=400 --innodb-buffer-pool-size=64M
    --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 --performance-schema=0)

start_mysql() {
    local port folder
    port=$(free_port)
    folder=$(folder mysql)
    PORTS[mysql]=$port
    GPT_LOAD_TEST_MYSQL="gptload:$PASSWORD@tcp(127.0.0.1:$port)/"
    # The server carries this out before it lets anyone in.
    printf "CREATE USER gptload IDENTIFIED BY '%s';\nGRANT ALL ON *.* TO gptload WITH GRANT OPTION;\n" "$PASSWORD" |
        (umask 077 && cat >"$folder/init.sql")
    if [[ ${SOURCE_OF[mysql]} == docker ]]; then
        chmod 644 "$folder/init.sql"
        container mysql 3306 -e MARIADB_RANDOM_ROOT_PASSWORD=1 -v "$folder/init.sql:/docker-entrypoint-initdb.d/init.sql:ro" \
            -- mariadbd "${MYSQL_OPTIONS[@]}" --ssl-cert=/tls/server.pem --ssl-key=/key
        return
    fi
    ((EUID != 0)) || chown nobody: "$folder/init.sql"
    background mysql make_mysql "$folder" "$port"
}

make_mysql() {
    local folder=$1 port=$2
    if [[ $MYSQLD == *mariadbd ]]; then
        plain mariadb-install-db --no-defaults --datadir="$folder/data" --auth-root-authentication-method=normal \
            --skip-test-db --skip-name-resolve || exit
    else
        plain "$MYSQLD" --no-defaults --initialize-insecure --datadir="$folder/data" || exit
        MYSQL_OPTIONS+=(--mysqlx=0)
    fi
    as_server "$MYSQLD" --no-defaults --datadir="$folder/data" --port="$port" --bind-address=127.0.0.1 \
        --socket="$folder/socket" --pid-file="$folder/pid" --init-file="$folder/init.sql" "${MYSQL_OPTIONS[@]}" \
        --ssl-cert="$WORK/tls/server.pem" --ssl-key="$folder/server.key"
}

start_redis() {
    local port folder
    port=$(free_port)
    folder=$(folder redis)
    PORTS[redis]=$port
    GPT_LOAD_TEST_REDIS=redis://127.0.0.1:$port
    if [[ ${SOURCE_OF[redis]} == docker ]]; then
        container redis 6379 -- redis-server --save ''
        return
    fi
    background redis as_server redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --dir "$folder"
}

# await_server NAME: until it answers.
await_server() {
    local server=$1 deadline=$((SECONDS + 60))
    until "ready_$server" "${PORTS[$server]}" >/dev/null 2>&1; do
        if [[ -n ${PIDS[$server]:-} ]] && ! kill -0 "${PIDS[$server]}" 2>/dev/null; then
            cat "$WORK/$server.log" >&2
            fail "$server ended instead of starting"
        elif ((SECONDS >= deadline)); then
            cat "$WORK/$server.log" >&2 || docker logs "${CONTAINERS[$server]}" >&2
            fail "$server did not start within a minute"
        fi
        sleep 0.05
    done
}

ready_redis() {
    exec_on "$1" 'printf "PING\r\n" >&3; read -r -t 2 -n 5 -u 3'
}

# A server that lets in greets first.
ready_mysql() {
    exec_on "$1" 'read -r -t 2 -n 1 -u 3'
}

# Of those that take connections, one that still starts answers with an error.
ready_postgres() {
    if [[ ${SOURCE_OF[postgres]} == docker ]]; then
        docker exec "${CONTAINERS[postgres]}" pg_isready -h 127.0.0.1 -t 2
    else
        "$POSTGRES_BIN/pg_isready" -h 127.0.0.1 -p "$1" -t 2
    fi
}

# exec_on PORT SCRIPT: with the connection as descriptor 3.
exec_on() {
    bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && eval "$2"' _ "$1" "$2"
}
