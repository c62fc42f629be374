#!/bin/bash
#SBATCH --job-name=hpo_TFT_Q_water_centrum
#SBATCH --output=slurm/logs/hpo_TFT_Q_water_centrum_%j.log
#SBATCH --error=slurm/logs/hpo_TFT_Q_water_centrum_%j.err
#SBATCH --open-mode=append
#SBATCH --partition=gpu,gpu-long
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=16
#SBATCH --time=2-00:00:00
#SBATCH --account=proj_0042
#SBATCH --qos=normal
#SBATCH --exclude=gpu[03,07]
#SBATCH --signal=B:USR1@900
#SBATCH --requeue

set -e
cd '/my project'
source /etc/profile.d/modules.sh
module purge
module load miniconda/24.1 cuda/12.4
source '/opt/my conda'/bin/activate hpo
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}"
exec python -m hpo_lib job --model TFT_Q --dataset water_centrum --trials 30 --seed 42 --preset auto --recipe standard --objectives mae,picp_penalty --space wide --storage auto --policy proven --data-dir /data --simulated --runs-dir /runs --signal-seconds 900 --max-requeues 5 --workers-per-gpu 1
