# --- build -----------------------------------------------------------------
# The slim image brings gcc, which the bundled SQLite and ring need. Debian 12
# on both sides keeps the C library of build and run time the same.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /build

# Dependencies alone first: this layer is rebuilt only when Cargo.toml or
# Cargo.lock change. Empty targets stand in for the sources; what is compiled
# from them is removed again, so no file time can make a stale binary survive.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src tests/it benches \
    && touch src/lib.rs tests/it/main.rs benches/relay.rs \
    && echo 'fn main() {}' > src/main.rs \
    && cargo build --release --locked --bin tollgate \
    && cargo clean --release --package tollgate \
    && rm -r src

COPY src src
RUN cargo build --release --locked --bin tollgate \
    && mkdir /data

# --- run -------------------------------------------------------------------
# C library and CA bundle; no shell, no package manager. Its maker publishes no
# version tags, only one rolling image per Debian release.
# hadolint ignore=DL3006
FROM gcr.io/distroless/cc-debian12

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Tollgate" \
      org.opencontainers.image.description="An embedded-storage relay for paid AI APIs: one binary, one redb file, one mounted volume" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="https://github.com/tollgate-relay/tollgate" \
      org.opencontainers.image.documentation="https://github.com/tollgate-relay/tollgate#readme"

COPY --from=build /build/target/release/tollgate /usr/local/bin/tollgate
# A named volume mounted here for the first time takes this owner; a platform
# volume arrives owned by root and is handed over at start (RUN_AS_UID).
COPY --from=build --chown=1000:1000 /data /data

# Started as root, Tollgate makes the store's directory its own and becomes
# this user before any thread starts. `docker run --user` works as well.
ENV DATABASE_URL=/data/tollgate.redb \
    RUN_AS_UID=1000

WORKDIR /app
EXPOSE 8080
STOPSIGNAL SIGTERM

# Liveness, not readiness: a relay that repairs its store must not be killed.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 \
    CMD ["tollgate", "health"]

ENTRYPOINT ["tollgate"]
CMD ["serve"]
