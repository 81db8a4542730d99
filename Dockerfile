# --- libraries -------------------------------------------------------------
# What the program needs of a system: the C library that it was linked to and
# the CA bundle. The image has these files and no others: no shell, no package
# manager. Debian 12 here and below keeps the C library of build and run time
# the same.
FROM debian:bookworm-slim AS libraries
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /image
RUN mkdir -p etc/ssl/certs tmp data \
    && chmod 1777 tmp \
    && cp --dereference --parents /lib*/ld-linux-*.so.* \
        /lib/*-linux-gnu/libc.so.6 /lib/*-linux-gnu/libm.so.6 /lib/*-linux-gnu/libgcc_s.so.1 \
        /usr/share/doc/libc6/copyright /usr/share/doc/libgcc-s1/copyright /usr/share/doc/ca-certificates/copyright \
        . \
    && cp --dereference /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/ \
    && echo 'hosts: files dns' > etc/nsswitch.conf \
    && printf 'root:x:0:0::/:/none\ntollgate:x:1000:1000::/data:/none\n' > etc/passwd \
    && printf 'root:x:0:\ntollgate:x:1000:\n' > etc/group

# --- runtime ---------------------------------------------------------------
# Everything but the program.
FROM scratch AS runtime

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Tollgate" \
      org.opencontainers.image.description="An embedded-storage relay for paid AI APIs: one binary, one redb file, one mounted volume" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="https://github.com/tollgate-relay/tollgate" \
      org.opencontainers.image.documentation="https://github.com/tollgate-relay/tollgate#readme"

COPY --from=libraries /image /
# A named volume mounted here for the first time takes this owner; a platform
# volume arrives owned by root and is handed over at start (RUN_AS_UID).
COPY --from=libraries --chown=1000:1000 /image/data /data

# Started as root, Tollgate makes the store's directory its own and becomes
# this user before any thread starts. `docker run --user` works as well.
ENV PATH=/usr/local/bin \
    DATABASE_URL=/data/tollgate.redb \
    RUN_AS_UID=1000

WORKDIR /app
EXPOSE 8080
STOPSIGNAL SIGTERM

# Liveness, not readiness: a relay that repairs its store must not be killed.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 \
    CMD ["tollgate", "health"]

ENTRYPOINT ["tollgate"]
CMD ["serve"]

# --- prebuilt --------------------------------------------------------------
# With a program that was built elsewhere, on Debian 12, in a folder of its own:
#   docker build --target prebuilt --file Dockerfile FOLDER
# A builder that stops at its target never sees the compiler below.
FROM runtime AS prebuilt
COPY --chmod=755 tollgate /usr/local/bin/tollgate

# --- build -----------------------------------------------------------------
# The slim image brings gcc, which the bundled SQLite and ring need.
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
RUN cargo build --release --locked --bin tollgate

# --- the image -------------------------------------------------------------
FROM runtime
COPY --from=build /build/target/release/tollgate /usr/local/bin/tollgate
