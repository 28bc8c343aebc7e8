# Postmeter for production: PostgreSQL and Redis run elsewhere (docker-compose.yml shows all three together).
#   docker build -t postmeter .

FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# Optional packages are the Node runtime and the embedded PostgreSQL: the image has the one and does without the other.
RUN npm ci --omit=dev --omit=optional --no-audit --no-fund

FROM node:24-bookworm-slim
ENV NODE_ENV=production \
    POSTMETER_DATA_DIR=/var/lib/postmeter \
    POSTMETER_SUBMISSION_HOST=0.0.0.0 \
    POSTMETER_HTTP_HOST=0.0.0.0
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY config ./config
COPY migrations ./migrations
COPY src ./src
RUN chmod 0755 /app/src/main.ts && ln -s /app/src/main.ts /usr/local/bin/postmeter \
    && install -d -o node -g node -m 0700 /var/lib/postmeter
USER node
VOLUME /var/lib/postmeter
EXPOSE 2587 2465 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["node", "-e", "fetch(`http://127.0.0.1:${Number(process.env.POSTMETER_METRICS_PORT) || process.env.POSTMETER_HTTP_PORT || 8080}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Exec form: SIGTERM reaches the program, which drains and ends with 0 within 30 s.
ENTRYPOINT ["node", "--max-old-space-size=1024", "--max-semi-space-size=16", "/app/src/main.ts"]
CMD ["serve"]
