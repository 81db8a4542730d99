# Sourced by the scripts that drive `tollgate` from outside, from the root of the clone: what they install, and the sandbox.
#
# TOLLGATE_BIN names a binary to drive instead of a fresh debug build.

readonly target=${CARGO_TARGET_DIR:-$PWD/target}

# What the script leaves with: 1 after anything failed.
status=0
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

# install_python_packages FROM TO: what FROM/requirements.txt pins, installed in the virtual environment TO and used again
# while it stays the same.
install_python_packages() {
    local list=$1/requirements.txt to=$2
    if ! fresh "$to/installed" "$list"; then
        rm -rf "$to"
        python3 -m venv "$to"
        "$to/bin/pip" --disable-pip-version-check install --quiet --requirement "$list"
        cp "$list" "$to/installed"
    fi
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

# find_tollgate: makes TOLLGATE_BIN the whole path of the program, and builds it where nobody named one.
find_tollgate() {
    if [[ -z ${TOLLGATE_BIN:-} ]]; then
        cargo build --locked --bin tollgate
        TOLLGATE_BIN=$target/debug/tollgate
    fi
    TOLLGATE_BIN=$(realpath "$TOLLGATE_BIN")
}

# start_sandbox OPTION…: starts it on a free port and exports its one line of JSON as TOLLGATE_SANDBOX.
start_sandbox() {
    find_tollgate
    # In an empty folder, so that no `.env` of the clone is read. The line comes
    # through a pipe that stays open as long as the sandbox runs.
    rm -f "$run/announcement"
    mkfifo "$run/announcement"
    (cd "$run" && exec "$TOLLGATE_BIN" sandbox --json --listen 127.0.0.1:0 "$@") >"$run/announcement" 2>"$run/log" &
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

# leave: stops the sandbox if one runs and leaves with `status`, after the end of the sandbox's log if anything failed.
leave() {
    local code=0
    stop_sandbox || code=$?
    if ((code != 0)); then
        echo "the sandbox left with $code" >&2
        status=1
    fi
    ((status == 0)) || show_log
    exit "$status"
}

show_log() {
    echo 'the log of the sandbox ends with:' >&2
    tail -n 50 "$run/log" >&2
}
