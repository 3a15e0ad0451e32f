# syntax=docker/dockerfile:1
# GPT-Load for amd64 and arm64. The program is compiled on the machine's own architecture for the other one, not emulated:
#
#   docker buildx build --platform linux/amd64,linux/arm64 -t gpt-load .

FROM --platform=$BUILDPLATFORM node:22-bookworm-slim AS web
WORKDIR /src/web
COPY web/package.json web/package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund
COPY web/ ./
RUN npm run --silent build

FROM --platform=$BUILDPLATFORM rust:1.95-bookworm AS build
# Architecture of the image: amd64 or arm64; the builder sets it. Profile of cargo: release, or dev for a quick try.
ARG TARGETARCH
ARG CARGO_PROFILE=release
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# For another architecture than this machine's: its C compiler (SQLite, cryptography) and Rust's library for it.
# hadolint ignore=DL3008
RUN touch /etc/target.env; \
    if [ "${TARGETARCH:-$(dpkg --print-architecture)}" != "$(dpkg --print-architecture)" ]; then \
      case "$TARGETARCH" in \
        amd64) rust=x86_64-unknown-linux-gnu package=gcc-x86-64-linux-gnu compiler=x86_64-linux-gnu-gcc ;; \
        arm64) rust=aarch64-unknown-linux-gnu package=gcc-aarch64-linux-gnu compiler=aarch64-linux-gnu-gcc ;; \
        *) echo "no image is made for $TARGETARCH" >&2; exit 1 ;; \
      esac; \
      apt-get update; \
      apt-get install -y --no-install-recommends "$package" "libc6-dev-$TARGETARCH-cross"; \
      rm -rf /var/lib/apt/lists/*; \
      rustup target add "$rust"; \
      name=${rust//-/_}; \
      printf 'export CARGO_BUILD_TARGET=%s CARGO_TARGET_%s_LINKER=%s CC_%s=%s\n' \
        "$rust" "${name^^}" "$compiler" "$name" "$compiler" >/etc/target.env; \
    fi
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY .cargo/ .cargo/
COPY migrations/ migrations/
COPY schema/ schema/
COPY cluster/ cluster/
COPY actors/ actors/
COPY benches/ benches/
COPY src/ src/
COPY --from=web /src/web/dist/ web/dist/
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,id=gpt-load-target-$TARGETARCH,sharing=locked \
    . /etc/target.env; \
    cargo build --locked --bin gpt-load --profile "$CARGO_PROFILE"; \
    mkdir -p /out; \
    cp "target/${CARGO_BUILD_TARGET:-}/${CARGO_PROFILE/dev/debug}/gpt-load" /out/

FROM debian:bookworm-slim
# Roots to trust for providers; nothing else is needed.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 gpt-load \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin gpt-load \
    && mkdir -p /app/data \
    && chown gpt-load:gpt-load /app/data
COPY --chmod=755 docs/docker/entrypoint.sh /usr/local/bin/docker-entrypoint
COPY --from=build /out/gpt-load /usr/local/bin/gpt-load
WORKDIR /app
ENV DATA_DIR=/app/data
VOLUME /app/data
EXPOSE 3001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=6s --start-period=60s --retries=3 CMD ["gpt-load", "--quiet", "health"]
# Starts as root so that a data folder of root's becomes usable, and goes on as gpt-load; started as anyone else it runs as is.
ENTRYPOINT ["docker-entrypoint"]
CMD ["serve"]
