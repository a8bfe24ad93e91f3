# Exactly once.

copier() {
  start "$1" TransactionalMessageCopier --broker-list "$BOOTSTRAP" --input-topic "$topic-in" \
    --output-topic "$topic-out" --consumer-group "$group" --enable-random-aborts "${@:2}"
}

# One copier, killed twice without warning: the committed output is the input.
case_txn_copier_restarts() {
  make "$topic-in" 1
  make "$topic-out" 1
  produce "$topic-in" 15000
  copy() {
    copier "$1" --input-partition 0 --transactional-id "id-$topic" --transaction-size 25 --transaction-timeout 30000
  }
  local round
  for round in 1 2; do
    copy "copier$round.json"
    sleep 4
    kill -KILL "$last"
    wait "$last" 2> /dev/null || true
  done
  copy copier3.json
  wait "$last"
  consume "$topic-out" out --isolation-level read_committed
  consume "$topic-in" in
  cmp in out
}

# Two copiers share the partitions of a group.
case_txn_copier_group() {
  make "$topic-in" 4
  make "$topic-out" 4
  produce "$topic-in" 8000
  local number
  for number in 1 2; do
    copier "copier$number.json" --input-partition -1 --transactional-id "id$number-$topic" --transaction-size 50 \
      --group-mode --use-group-metadata
  done
  all_copied() {
    consume "$topic-out" out --isolation-level read_committed
    [ "$(wc -l < out)" -ge 8000 ]
  }
  within 30 all_copied
  same 'records' "$(wc -l < out)" 8000
  same 'different records' "$(sort -n out | uniq | wc -l)" 8000
}

case_producer_perf_txn() {
  make "$topic" 2
  shown said tool ProducerPerformance --topic "$topic" --num-records 20000 --record-size 100 --throughput 10000 \
    --transaction-duration-ms 100
  consume "$topic" out --isolation-level read_committed
  same 'committed records' "$(wc -l < out)" 20000
}

case_transactions_command() {
  make "$topic" 1
  shown said tool ProducerPerformance --topic "$topic" --num-records 200 --record-size 10 --throughput -1 \
    --transactional-id "id-$topic" --transaction-duration-ms 500
  shown listed tool TransactionsCommand list
  has listed "id-$topic"
  shown described tool TransactionsCommand describe --transactional-id "id-$topic"
  has described CompleteCommit
  shown producers tool TransactionsCommand describe-producers --topic "$topic" --partition 0
  has producers '^[0-9]+'
  shown hanging tool TransactionsCommand find-hanging --topic "$topic"
}
