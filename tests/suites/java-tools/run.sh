#!/bin/bash
# Runs one case: run.sh CASE, in an empty directory, with BOOTSTRAP (the broker's address) and JARS (Apache's jars).
# run.sh --list names all cases. A case is a function `case_NAME` of one of the files below, with `_` for `-`; it fails
# at its first command that fails. What it prints is its log.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/words.sh"
for subject in records groups transactions share settings cluster; do
  . "$here/$subject.sh"
done

if [ "$1" = --list ]; then
  compgen -A function case_ | sed 's/^case_//; s/_/-/g'
  exit
fi
case=$1
# Names of this run alone: cases share a broker.
topic=$case-$RANDOM$RANDOM
group=group-$topic
trap end_all EXIT
trap failed ERR
set -E
"case_${case//-/_}"
