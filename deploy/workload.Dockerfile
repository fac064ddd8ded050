# The workload of deploy/compose.yaml. Only for trying the exporter out.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY Cargo.toml Cargo.lock build.rs ./
COPY docs/operate/runbooks ./docs/operate/runbooks
COPY benches ./benches
COPY src ./src
COPY examples ./examples
RUN cargo build --release --locked --example workload

FROM debian:bookworm-slim
COPY --from=build /build/target/release/examples/workload /workload
USER 65534:65534
ENTRYPOINT ["/workload"]
