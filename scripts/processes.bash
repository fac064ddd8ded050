# Starts servers for other scripts, and ends them. It is sourced, not run:
#
#   . scripts/processes.bash
#
# Logs and data are in $dir, which make_dir creates. When the script ends, for whatever reason, it
# ends everything that it has started.

me=$(basename "$0")
say() { echo "$me: $*"; }
fail() {
  echo "$me: $*" >&2
  exit 1
}

dir=
make_dir() {
  dir=$(mktemp -d "${TMPDIR:-/tmp}/redis-namespace-exporter-$me.XXXXXX")
}

# Names of started processes in order, and their process IDs.
started=()
declare -A process=()

# Starts a command in its own session, so that Ctrl-C only reaches the script, which ends the others
# in order. The name is that of the log.
start() {
  local name=$1
  shift
  setsid "$@" >>"$dir/$name.log" 2>&1 &
  started+=("$name")
  process[$name]=$!
  # Bash must not report its end.
  disown
}

runs() { kill -0 "${process[$1]}" 2>/dev/null; }

# From here on it may end by itself, and its process ID may be reused.
forget() {
  local name=$1 kept=() other
  for other in "${started[@]}"; do
    [ "$other" = "$name" ] || kept+=("$other")
  done
  started=("${kept[@]}")
  unset "process[$name]"
}

# Ends a process with a signal, by its process ID, and waits for it.
stop() {
  local name=$1 signal=${2:-TERM} pid=${process[$1]}
  forget "$name"
  kill -"$signal" "$pid" 2>/dev/null || true
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
}

clean_up() {
  trap '' INT TERM
  while [ ${#started[@]} -gt 0 ]; do
    stop "${started[-1]}"
  done
  if [ -n "$dir" ]; then
    rm -rf "$dir"
  fi
}
trap clean_up EXIT
trap 'exit 130' INT TERM

show_log() {
  echo "--- end of $1.log:" >&2
  tail -n 15 "$dir/$1.log" >&2
}

# Fails if a started process has ended by itself.
check_running() {
  local name
  for name in "${started[@]}"; do
    if ! runs "$name"; then
      show_log "$name"
      fail "$name ended by itself"
    fi
  done
}

# Scripts override this to explain a timeout.
explain() { :; }

# Waits until a command succeeds, for at most this many seconds.
wait_for() {
  local what=$1 limit=$2
  shift 2
  local until=$((SECONDS + limit))
  until "$@" >/dev/null 2>&1; do
    check_running
    if [ "$SECONDS" -ge "$until" ]; then
      explain >&2
      fail "$what: not so within $limit s (waited for: $*)"
    fi
    sleep 0.2
  done
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Below the range of ports that the kernel assigns. A cluster's bus port, which is 10,000 higher, is
# below it too.
next_port=$((12000 + RANDOM % 8000))
port=
take_port() {
  while next_port=$((next_port + 1)) && ! port_is_free "$next_port"; do :; done
  port=$next_port
}

cli() { redis-cli -h 127.0.0.1 -p "$@"; }
answers() { [ "$(cli "$1" ping 2>/dev/null)" = PONG ]; }

# Starts a Redis. Arguments: name, port, further arguments.
start_redis() {
  local name=$1 at=$2
  shift 2
  mkdir -p "$dir/$name"
  start "$name" redis-server "$@" --bind 127.0.0.1 --port "$at" --dir "$dir/$name" --daemonize no
  wait_for "$name answers" 10 answers "$at"
}

# The distribution installs Prometheus and Alertmanager here. Not all users have /usr/sbin in their
# path.
PATH=$PATH:/usr/sbin:/sbin

is_ready() { curl --fail --silent --max-time 2 "$1/-/ready"; }

# Starts a Prometheus with $dir/prometheus.yml. Arguments: port, further arguments.
start_prometheus_at() {
  local at=$1
  shift
  start prometheus prometheus --config.file "$dir/prometheus.yml" --storage.tsdb.path "$dir/tsdb" \
    --web.listen-address "127.0.0.1:$at" "$@"
  wait_for "Prometheus is ready" 30 is_ready "http://127.0.0.1:$at"
}

# Starts a single Alertmanager. Arguments: configuration file, port.
start_alertmanager_at() {
  start alertmanager prometheus-alertmanager --config.file "$1" --storage.path "$dir/alertmanager" \
    --cluster.listen-address= --web.listen-address "127.0.0.1:$2"
  wait_for "Alertmanager is ready" 30 is_ready "http://127.0.0.1:$2"
}
