#!/bin/sh
# Runs a fuzzer for some seconds from a seed that it prints; fails when it finds something.
#   fuzz.sh FUZZER SEED_WRITER KIND SECONDS
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$2" "$folder/seeds"
mkdir "$folder/corpus"
seed=${AMLM_TEST_SEED:-1}
echo "seed $seed"
cd "$folder"
"$1" -seed="$seed" -max_total_time="$4" -max_len=65536 -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 \
  corpus "seeds/$3" 2>&1 | tail -25 > log || { cat log; exit 1; }
tail -8 log
