# docker build -t llm-backend .                        pictures go to the model
# docker build -t llm-backend --build-arg OCR=1 .      with Tesseract, for IMAGE_MODE=ocr
# docker build -t llm-backend --build-arg MEDIA=1 .    with the extras ocr, pdf and video: documents and films, too
ARG PYTHON_VERSION=3.12

FROM python:${PYTHON_VERSION}-slim AS build
ARG OCR=
ARG MEDIA=
WORKDIR /src
RUN python -m venv /opt/llm-backend && python -m venv /opt/build
COPY requirements*.lock ./
RUN extras=${MEDIA:+-media} \
    && /opt/llm-backend/bin/pip install --no-cache-dir --require-hashes -r requirements${extras:-${OCR:+-ocr}}.lock
RUN /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements-build.lock
COPY pyproject.toml setup.py LICENSE ./
COPY llm_backend llm_backend
COPY prompts prompts
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /opt/wheels .
RUN /opt/llm-backend/bin/pip install --no-cache-dir --no-deps --no-index /opt/wheels/*.whl

FROM python:${PYTHON_VERSION}-slim
ARG OCR=
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates ${OCR:+tesseract-ocr} \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /data --create-home llm
COPY --from=build /opt/llm-backend /opt/llm-backend
ENV PATH=/opt/llm-backend/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DATA_DIR=/data
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 CMD ["llm-backend", "health"]
CMD ["llm-backend", "serve", "--host", "0.0.0.0", "--port", "9090"]
