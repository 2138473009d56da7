# The prediction service, python -m course_utils serve, as an image. The model is not in it: mount what train wrote.
#   docker build --tag course-service .
#   docker run --rm --init --stop-timeout 15 --publish 127.0.0.1:8000:8000 --volume "$PWD/runs/first:/model:ro" \
#     course-service
# It ends after it has answered what was begun, at most 11 seconds; without 127.0.0.1 the whole network may ask.
# A model of its own: FROM course-service, then COPY runs/first /model.
# Without a GPU the CPU builds of PyTorch make it several times smaller; its installation page gives their address:
#   docker build --build-arg PIP_EXTRA_INDEX_URL=... --tag course-service .
FROM python:3.11.13-slim-bookworm

# pip reads this from its environment; empty, everything comes from its usual place.
ARG PIP_EXTRA_INDEX_URL=

# Before the code, so that a change of code does not install PyTorch again.
WORKDIR /source
COPY requirements-serving.txt ./
RUN python -m pip install --no-cache-dir --requirement requirements-serving.txt

COPY pyproject.toml README.md LICENSE ./
COPY course_utils course_utils/
RUN python -m pip install --no-cache-dir --no-deps --no-build-isolation .

# A number, because Kubernetes can only then see that it is not root. It reads the model and writes nothing.
USER 10001:10001
WORKDIR /

# What serve --help lists, as settings: docker run --env COURSE_MAX_BATCH=32 ...
ENV COURSE_HOST=0.0.0.0 \
    COURSE_PORT=8000 \
    COURSE_MODEL=/model
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; service = http.client.HTTPConnection('127.0.0.1', int(os.environ['COURSE_PORT']), timeout=2); service.request('GET', '/health'); sys.exit(service.getresponse().status != 200)"]

# No shell in between, so that SIGTERM arrives; it answers what was begun, and ends.
CMD ["python", "-m", "course_utils", "serve"]
