#!/bin/bash
#SBATCH --job-name=hpo_TFT_Q_water_centrum
#SBATCH --output=slurm/logs/hpo_TFT_Q_water_centrum_%j.log
#SBATCH --error=slurm/logs/hpo_TFT_Q_water_centrum_%j.err
#SBATCH --open-mode=append
#SBATCH --partition=teaching
#SBATCH --gres=gpu:h100:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --time=04:00:00
#SBATCH --constraint=h100
#SBATCH --reservation=course
#SBATCH --signal=B:USR1@600
#SBATCH --requeue

set -e
cd '/my project'
source '/home/me/it'"'"'s here/.venv'/bin/activate
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}"
exec python -m hpo_lib job --model TFT_Q --dataset water_centrum --trials 30 --seed 42 --preset auto --recipe standard --objectives mae,picp_penalty --space wide --storage auto --policy proven --data-dir /data --simulated --runs-dir /runs --signal-seconds 600 --max-requeues 20 --workers-per-gpu 2
