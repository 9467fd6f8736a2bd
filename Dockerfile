# The operator's image. It needs a Python 3.11 or newer as base, named by digest by whoever builds:
#
#   docker build --build-arg BASE=python:3.13-slim@sha256:... --tag suptree/suptree:0.1.0 .
#
# BUILDER is the image in which pip runs: the base itself, or, for a base without pip, another one with the same Python.
# No command needs a shell, neither here nor when it runs. Pip's settings can be given as build arguments;
# `--build-context wheels=FOLDER --build-arg PIP_NO_INDEX=1` builds without a network, from wheels in a folder.
ARG BASE=python:3.13-slim
ARG BUILDER=${BASE}

FROM scratch AS wheels
COPY requirements.lock /

FROM ${BUILDER} AS dependencies
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_NO_INDEX
COPY requirements.lock /build/
RUN --mount=type=bind,from=wheels,source=/,target=/wheels ["python", "-m", "pip", "install", "--quiet", "--no-cache-dir", "--no-compile", "--disable-pip-version-check", "--root-user-action=ignore", "--require-hashes", "--only-binary=:all:", "--find-links=/wheels", "--target=/opt/dependencies", "--requirement=/build/requirements.lock"]
# The read-only root keeps no bytecode. The client's generated halves are hardly used, and theirs would be a quarter of the image.
RUN ["python", "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash", "-x", "/kubernetes/(aio/)?client/(api|models)/", "/opt/dependencies"]

FROM ${BUILDER} AS operator
COPY operator/suptree /opt/suptree/suptree
RUN ["python", "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash", "/opt/suptree"]

FROM ${BASE}
ENV PYTHONPATH=/opt/suptree:/opt/dependencies PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1
USER 65532:65532
ENTRYPOINT ["python", "-m", "suptree"]
COPY --from=dependencies /opt/dependencies /opt/dependencies
# Last: small, and all that changes from one version to the next.
COPY --from=operator /opt/suptree /opt/suptree
