# The command hpo in an image; the folder that is mounted at /work holds data, records and models.
#
#   docker build -t hpo_lib .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" hpo_lib run --model NHITS_Q --dataset heat --test
#
# torch is the CUDA build (add --gpus all to docker run). For an image that is several GB smaller, without GPU:
#   docker build -t hpo_lib --build-arg EXTRA_INDEX=URL .      URL: the CPU index that PyTorch's install page names
#
# Tests build the package from the files below; no image has been built by them.
FROM python:3.11-slim-trixie
ARG EXTRA_INDEX=
RUN apt-get update -qq \
    && apt-get install -qq --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml setup.py requirements.lock README.md LICENSE /src/
COPY hpo_lib /src/hpo_lib
COPY notebooks /src/notebooks
COPY datasets /src/datasets
COPY slurm /src/slurm
RUN PIP_EXTRA_INDEX_URL="$EXTRA_INDEX" pip install --no-cache-dir --constraint /src/requirements.lock "/src[postgres]"
# A user without an entry in the image has no home, where Jupyter and matplotlib keep files while they run.
ENV HOME=/tmp
WORKDIR /work
ENTRYPOINT ["hpo"]
CMD ["--help"]
