#!/usr/bin/env bash
# Submit one study as a Slurm job:  slurm/submit_job.sh MODEL DATASET [TRIALS] [option ...]
#
#   slurm/submit_job.sh NHITS_Q heat 50
#   slurm/submit_job.sh TFT_Q heat 50 --workers 4
#   slurm/submit_job.sh TFT_Q water_centrum 30 --dry-run
#   slurm/submit_job.sh TIMESNET_Q heat --test
#
# Short for `hpo submit`; its options (hpo submit --help) may follow. Memory, time limit, GPU and partition: slurm/site.env.
set -euo pipefail

if (($# < 2)) || [[ $1 == -* || $2 == -* ]]; then
  sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
model=$1 dataset=$2
shift 2
trials=()
if (($#)) && [[ $1 != -* ]]; then
  trials=(--trials "$1")
  shift
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${HPO_PYTHON:-}
if [[ -z $python ]]; then
  python=python3
  [[ ! -x $root/.venv/bin/python || -n ${VIRTUAL_ENV:-}${CONDA_PREFIX:-} ]] || python=$root/.venv/bin/python
fi
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -m hpo_lib submit --model "$model" --dataset "$dataset" "${trials[@]}" "$@"
