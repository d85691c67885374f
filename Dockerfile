# Builds the gateway, then ships it alone: no shell tools, no root.
FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin postern

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/postern --create-home --shell /usr/sbin/nologin postern
COPY --from=build /build/target/release/postern /usr/local/bin/postern
USER postern
WORKDIR /var/lib/postern
VOLUME ["/var/lib/postern", "/etc/postern"]
EXPOSE 8443 8444 9443 9901
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["postern", "health", "--url", "http://127.0.0.1:9901"]
ENTRYPOINT ["postern"]
CMD ["run", "--config", "/etc/postern/postern.yaml"]
