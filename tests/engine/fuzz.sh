#!/bin/sh
# Runs a fuzzer for some seconds from a seed that it prints; fails when it finds something.
#   fuzz.sh FUZZER SEED_WRITER KIND SECONDS
set -eu
fuzzer=$(realpath "$1")
writer=$(realpath "$2")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$writer" seeds
mkdir corpus
seed=${AMLM_TEST_SEED:-1}
echo "seed $seed"
if ! "$fuzzer" -seed="$seed" -max_total_time="$4" -max_len=65536 -rss_limit_mb=1024 -timeout=10 \
     -print_final_stats=1 corpus "seeds/$3" > log 2>&1; then
  tail -40 log
  exit 1
fi
tail -8 log
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' log)
[ "$runs" -gt 100 ] || { echo "only $runs runs"; exit 1; }
