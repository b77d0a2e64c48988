# The one image: `serve` by default, any other subcommand by name (docker run … stanchion worker).
# Everything in it has an exact version: the base image here, the Python packages in pyproject.toml's group `image`.
# With a digest nobody can change it under us: --build-arg PYTHON_IMAGE=python:3.13.14-slim-trixie@sha256:…
ARG PYTHON_IMAGE=python:3.13.14-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
# The tools stay in this stage; what is shipped has no pip.
RUN python -m venv /tools \
 && /tools/bin/pip install --quiet pip==26.3 setuptools==84.2.1 \
 && python -m venv --without-pip /opt/stanchion
WORKDIR /source
COPY pyproject.toml LICENSE ./
RUN /tools/bin/pip --python /opt/stanchion/bin/python install --quiet --no-deps --only-binary :all: --group image
COPY app app
# --no-index: the build fails here when the group `image` lacks something that the ranges ask for.
RUN /tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /tools/bin/pip --python /opt/stanchion/bin/python install --quiet --no-index /wheels/*.whl
# Babel knows a thousand locales in 30 MB; kept are those of the languages that pages speak.
RUN ["/opt/stanchion/bin/python", "-I", "-c", "import babel, pathlib; from app.web.languages import LANGUAGES; \
     kept = {'root', *(tag.split('-')[0] for tag in LANGUAGES)}; \
     data = pathlib.Path(babel.__file__).parent / 'locale-data'; \
     [path.unlink() for path in data.glob('*.dat') if path.stem.split('_')[0] not in kept]"]

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="Stanchion" \
      org.opencontainers.image.description="A virtual waiting room on Redis" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 stanchion \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/stanchion --shell /usr/sbin/nologin stanchion \
 && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/stanchion
COPY --from=build /opt/stanchion /opt/stanchion
ENV PATH=/opt/stanchion/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=3000 \
    DATA_DIR=/var/lib/stanchion
# A number, so that Kubernetes can see that it is not root. Only DATA_DIR is ever written, and only without REDIS_URL.
USER 10001:10001
WORKDIR /var/lib/stanchion
EXPOSE 3000
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-I", "-S", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=2); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["stanchion"]
CMD ["serve"]
