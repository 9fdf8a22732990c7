#!/bin/sh
# Builds the spike and takes `GIB` (20) through each variant, then latencies and catch-up reads. Needs
# 2 * GIB + 2 of disk under DIR, which is emptied. `GIB=4 bench/spike/run.sh` is the quick mode.
set -eu
cd "$(dirname "$0")/../.."
BIN=${BIN:-/tmp/log_shape} DIR=${DIR:-/var/tmp/log_shape_data} GIB=${GIB:-20} ROUNDS=${ROUNDS:-3}
clang++-19 -O2 -g1 -std=c++23 -msse4.2 -Wall -Wextra -Isrc bench/spike/log_shape.cc \
  src/base/crc32c.cc -luring -pthread -o "$BIN"
spike() { "$BIN" dir="$DIR" "$@"; }
for _ in $(seq "$ROUNDS"); do
  for v in v=null v=d v=a "v=a wb=drop" v=b "v=b pre=keep" v=c; do
    for batch in 16K 128K; do spike $v batch=$batch total="$GIB"G; done
    [ "$v" = v=c ] || spike $v batch=1100 total="$GIB"G
    [ "$v" = v=c ] || spike $v batch=1100 total="$GIB"G parts=1000 piece=256K pool=512M
  done
  for v in v=null v=d v=a "v=a wb=drop" v=b; do
    spike $v batch=16K total=1G read=1G rate=2000 secs=3
    spike $v batch=128K total=1G read=1G rate=500 secs=3
    spike $v batch=1100 total=1G read=1G rate=4000 secs=3
  done
  for s in linked after inline none; do spike v=d sync=$s batch=4000 total=64M rate=4000 secs=2; done
done
