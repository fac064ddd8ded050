# A static binary, also under the name that it has in the image of redis_exporter, the root
# certificates and the licenses.
#
#   docker build -t redis-namespace-exporter .
#   docker run -p 9121:9121 -e REDIS_URL=redis://user:pass@host:6379/0 redis-namespace-exporter

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

# With --target the flag reaches only what is built for the image: procedural macros are built
# for the compiler itself, and those cannot be linked statically.
ENV RUSTFLAGS="-C target-feature=+crt-static"

# The dependencies first, with an empty program: this layer lasts until Cargo.lock changes.
# The benches are never built here, but Cargo wants to see what its manifest names.
COPY Cargo.toml Cargo.lock build.rs ./
COPY benches ./benches
RUN mkdir src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs \
    && cargo build --release --locked --target "$(uname -m)-unknown-linux-gnu" \
    && rm -r src

# What redis_exporter_build_info shows; the repository itself is not in the build context.
ARG EXPORTER_COMMIT
ARG EXPORTER_BUILD_DATE

COPY docs/operate/runbooks ./docs/operate/runbooks
COPY src ./src
# Cargo goes by file times, and the copies may be older than the empty program.
RUN touch src/main.rs src/lib.rs \
    && cargo build --release --locked --target "$(uname -m)-unknown-linux-gnu" \
    && mkdir -p /image/etc/ssl/certs \
    && cp "target/$(uname -m)-unknown-linux-gnu/release/redis-namespace-exporter" /image/ \
    && ln -s redis-namespace-exporter /image/redis_exporter \
    && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/

# The licenses of the program, and of the crates that are linked into it.
COPY LICENSE ./
COPY scripts/third-party-licenses ./scripts/third-party-licenses
RUN scripts/third-party-licenses "$(uname -m)-unknown-linux-gnu" > /image/THIRD-PARTY-LICENSES.txt \
    && cp LICENSE /image/

FROM scratch
COPY --from=build /image/ /
# By number: there is no /etc/passwd in which a name could be looked up.
USER 65534:65534
EXPOSE 9121
# One heap for all threads. With one for each, glibc keeps a megabyte more. The page of thousands of
# targets stays outside of it, where it leaves no gaps.
ENV MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=131072
# It finds the exporter that runs in the container, whatever flags that was given.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s CMD ["/redis-namespace-exporter", "health"]
ENTRYPOINT ["/redis-namespace-exporter"]
