#!/usr/bin/env bash
# A data set by a job array, without dask: each task makes every eighth shard, a last job completes the manifest.
#   sbatch pipelines/slurm/array.sh
# Tasks that failed, or were killed, are repeated by the same command: what is there is not made again.
#SBATCH --job-name=lenssim
#SBATCH --array=0-7
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120
#SBATCH --output=lenssim-%A_%a.log
set -euo pipefail

MODEL=${MODEL:-III} N=${N:-100000} OUT=${OUT:-data/III} OPTIONS=${OPTIONS:-}
LENSSIM=${LENSSIM:-lenssim}

if [ "${1:-}" = seal ]; then
    exec $LENSSIM seal "$OUT"
fi
if [ "$SLURM_ARRAY_TASK_ID" = "$SLURM_ARRAY_TASK_MIN" ]; then
    sbatch --dependency="afterok:$SLURM_ARRAY_JOB_ID" --array=0 --time=00:10:00 --cpus-per-task=1 \
        --export=ALL,OUT="$OUT",LENSSIM="$LENSSIM" "$0" seal
fi
# exec: the signal that announces the end of the job reaches lenssim, which finishes the shards in hand
exec $LENSSIM generate --model "$MODEL" --n "$N" --out "$OUT" --workers "${SLURM_CPUS_PER_TASK:-1}" \
    --shards "$SLURM_ARRAY_TASK_ID::$SLURM_ARRAY_TASK_COUNT" $OPTIONS
