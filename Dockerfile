# The producer and the consumer. The image has no command of its own beyond `--help`: name one of
#   dicomcast-producer run | topics apply | cursor …      dicomcast-consumer run | status | replay … | dlq … | web
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY schemas schemas
COPY runtime runtime
COPY producer producer
COPY consumer consumer
COPY sandbox sandbox
RUN python -m venv /opt/dicomcast \
 && /opt/dicomcast/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[producer,consumer,web]' \
 && /opt/dicomcast/bin/pip uninstall --yes --quiet pip setuptools

FROM python:3.11-slim
COPY --from=build /opt/dicomcast /opt/dicomcast
ENV PATH=/opt/dicomcast/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DICOMCAST_HTTP__LISTEN=0.0.0.0:9580
LABEL org.opencontainers.image.title="dicomcast" org.opencontainers.image.licenses="Apache-2.0"
# Probes and metrics. No HEALTHCHECK: only the two `run` commands have them (docker-compose.yml and deploy/kubernetes ask).
EXPOSE 9580
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
CMD ["dicomcast-consumer", "--help"]
