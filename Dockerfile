# Two images: `sentinel` (API, workers, inbox, Flower, migrations), the default, and `exporter`. The first has no client
# of Kafka, which only `./sentinel stream kafka` needs, unless it is built with `--build-arg KAFKA=1`.

FROM python:3.11-slim AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONSAFEPATH=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
# A number of its own, so that file permissions can name it. /var/lib/sentinel is where the trial's
# volume of generated secrets goes; a new volume takes over the owner and mode given here.
RUN groupadd --system --gid 10001 sentinel \
    && useradd --system --uid 10001 --gid sentinel --no-create-home --home-dir /nonexistent sentinel \
    && install --directory --owner sentinel --group sentinel --mode 0700 /var/lib/sentinel

# The lock is complete and hashed: nothing is resolved, nothing unknown is installed; nor is pip, of which a container
# has no use, nor tests, nor bytecode: see below.
FROM base AS packages
ARG KAFKA=
COPY requirements.txt requirements-kafka.txt ./
RUN python -m venv --without-pip /venv \
    && python -m pip --python /venv/bin/python install --no-compile --no-deps --require-hashes -r requirements.txt ${KAFKA:+-r requirements-kafka.txt} \
    && cd /venv/lib/python*/site-packages \
    && rm -r alembic/testing arpeggio/tests sqlalchemy/testing tornado/test

# The Celery exporter needs older versions of what Sentinel stands on, so it shares nothing with it.
FROM base AS exporter-packages
COPY requirements-exporter.txt .
RUN python -m venv --without-pip /venv \
    && python -m pip --python /venv/bin/python install --no-deps --require-hashes -r requirements-exporter.txt

FROM base AS exporter
COPY --from=exporter-packages /venv /venv
ENV PATH=/venv/bin:$PATH
USER sentinel
EXPOSE 9808
# Python ignores SIGTERM as the first process of a container unless it is told to heed it.
STOPSIGNAL SIGINT
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9808/health', timeout=4)"]
# The package has no command of its own. The prefix is that of celeryconfig.py: without it the
# exporter hears nothing.
CMD ["python", "-c", "from src.cli import cli; cli(auto_envvar_prefix='CE')", \
     "--host", "0.0.0.0", "--port", "9808", "--retry-interval", "5", \
     "--broker-transport-option", "global_keyprefix=sentinel:"]

FROM base AS sentinel
COPY --from=packages /venv /venv
WORKDIR /sentinel
COPY . .
ENV PATH=/venv/bin:$PATH \
    PYTHONPATH=/sentinel \
    SENTINEL_HOST=0.0.0.0
RUN PYTHONDONTWRITEBYTECODE= python deploy/bytecode.py \
    && python -m compileall -q wsgi.py celeryconfig.py migrations/versions
USER sentinel
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "deploy/healthcheck.py", "api"]
# It waits for the database and the schema, then becomes the command: that is process 1, and gets
# the signals.
ENTRYPOINT ["python", "deploy/entrypoint.py"]
CMD ["gunicorn", "-c", "deploy/gunicorn.conf.py", "wsgi:app"]
