# Sourced by the scripts that drive `tollgate sandbox` from outside, from the root of the clone.
#
# TOLLGATE_BIN names a binary to drive instead of a fresh debug build.

readonly target=${CARGO_TARGET_DIR:-$PWD/target}

sandbox=
run=$(mktemp -d "${TMPDIR:-/tmp}/tollgate-sandbox.XXXXXX")
trap 'stop_sandbox || true; rm -rf "$run"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# fresh STAMP FILE…: true while STAMP was written for just these contents.
fresh() {
    local stamp=$1
    shift
    cat "$@" | cmp --silent - "$stamp"
}

# install_node_packages FROM TO: what FROM/package-lock.json pins, installed in TO and used again while it stays the same.
install_node_packages() {
    local to=$2 lists=("$1/package.json" "$1/package-lock.json")
    if ! fresh "$to/installed" "${lists[@]}"; then
        rm -rf "$to"
        mkdir -p "$to"
        cp "${lists[@]}" "$to"
        (cd "$to" && npm ci --ignore-scripts --no-audit --no-fund --silent)
        cat "${lists[@]}" >"$to/installed"
    fi
}

# apt_install PACKAGE…: from the system's own archive; as root, or with sudo where that asks for no password.
apt_install() {
    local as_root=()
    ((EUID == 0)) || as_root=(sudo --non-interactive)
    "${as_root[@]}" apt-get update --quiet=2 &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install --quiet=2 --yes --no-install-recommends "$@" >/dev/null
}

# start_sandbox OPTION…: starts it on a free port and exports its one line of JSON as TOLLGATE_SANDBOX.
start_sandbox() {
    local binary=${TOLLGATE_BIN:-}
    if [[ -z $binary ]]; then
        cargo build --locked --bin tollgate
        binary=$target/debug/tollgate
    fi
    binary=$(realpath "$binary")
    # In an empty folder, so that no `.env` of the clone is read. The line comes
    # through a pipe that stays open as long as the sandbox runs.
    mkfifo "$run/announcement"
    (cd "$run" && exec "$binary" sandbox --json --listen 127.0.0.1:0 "$@") >"$run/announcement" 2>"$run/log" &
    sandbox=$!
    exec 3<"$run/announcement"
    if ! IFS= read -r -t 30 -u 3 TOLLGATE_SANDBOX; then
        echo 'the sandbox did not announce itself within 30 s' >&2
        show_log
        exit 1
    fi
    export TOLLGATE_SANDBOX
    # Many clients would send even loopback calls to a proxy of the environment.
    export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
}

# sandbox_says FIELD: what the sandbox announced of itself, e.g. its url.
sandbox_says() {
    python3 -c 'import json, os, sys; print(json.loads(os.environ["TOLLGATE_SANDBOX"])[sys.argv[1]])' "$1"
}

# Sends SIGTERM and waits; a sandbox that does not drain within 15 s is killed. Succeeds if it left with 0.
stop_sandbox() {
    local pid=$sandbox
    [[ -n $pid ]] || return 0
    sandbox=
    kill -TERM "$pid" 2>/dev/null || true
    (
        for _ in {1..150}; do
            kill -0 "$pid" 2>/dev/null || exit 0
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null
    ) &
    wait "$pid"
}

show_log() {
    echo 'the log of the sandbox ends with:' >&2
    tail -n 50 "$run/log" >&2
}
