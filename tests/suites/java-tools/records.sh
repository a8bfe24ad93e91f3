# Records in, records out.

case_verifiable_round_trip() {
  make "$topic" 4
  produce "$topic" 5000
  tool VerifiableConsumer --topic "$topic" --group-id "$group" --max-messages 5000 --verbose > consumed.json
  same 'different records' "$(count_numbers consumed.json)" 5000
  same 'records' "$(grep -c '"name":"record_data"' consumed.json)" 5000
  has consumed.json '"name":"offsets_committed".*"success":true'
}

with_acks() {
  make "$topic" 2
  produce "$topic" 3000 --acks "$1"
  consume "$topic" consumed
  same 'different records' "$(sort -n consumed | uniq | wc -l)" 3000
}
case_verifiable_acks_0() { with_acks 0; }
case_verifiable_acks_1() { with_acks 1; }

case_console_codecs() {
  local codec
  make "$topic" 2
  for codec in none gzip snappy lz4 zstd; do
    seq -f "$codec-%g" 1 500 | tool ConsoleProducer --topic "$topic" --compression-codec "$codec"
  done
  consume "$topic" consumed
  same 'different records' "$(sort consumed | uniq | wc -l)" 2500
}

case_console_keys_headers_tombstones() {
  make "$topic" 1
  printf 'h1:v1\tk1\tval1\nh1:v2,h2:x\tk2\tNULL\n' | tool ConsoleProducer --topic "$topic" \
    --reader-property parse.key=true --reader-property parse.headers=true --reader-property null.marker=NULL
  consume "$topic" consumed --formatter-property print.key=true --formatter-property print.headers=true \
    --formatter-property print.offset=true --formatter-property print.timestamp=true
  has consumed 'CreateTime:[0-9]+.Offset:0.h1:v1.k1.val1'
  has consumed 'Offset:1.h1:v2,h2:x.k2.null'
}

case_log_compaction() {
  shown said tool LogCompactionTester --messages 4000 --topics 2 --percent-deletes 20 --duplicates 5 --sleep 5
}
case_log_compaction_zstd() {
  shown said tool LogCompactionTester --messages 4000 --compression-type zstd --percent-deletes 10 --sleep 5
}

case_producer_perf() {
  make "$topic" 4
  shown produced tool ProducerPerformance --topic "$topic" --num-records 50000 --record-size 200 --throughput -1 \
    --command-property linger.ms=5
  has produced '50000 records sent'
  shown consumed tool ConsumerPerformance --topic "$topic" --num-records 50000 --timeout 20000
  # The fifth column of the last line counts records.
  tail -n 1 consumed | awk -F', *' '{ exit !($5 >= 50000) }'
}

case_end_to_end_latency() {
  make "$topic" 1
  shown said java_of org.apache.kafka.tools.EndToEndLatency "$BOOTSTRAP" "$topic" 500 all 100
  has said 'Avg latency'
}

# The tool makes a topic of its own, of a name that is always the same. It expects what it is told to: ACLs are said to
# be unsupported until the broker has them.
case_client_compatibility() {
  make "$topic" 1
  topics --delete --if-exists --topic newtopic
  shown said tool ClientCompatibilityTest --topic "$topic" --num-cluster-nodes 1 --cluster-id-supported True \
    --create-topics-supported True --describe-acls-supported False --describe-configs-supported True \
    --expect-record-too-large-exception False --idempotent-producer-supported True --offsets-for-times-supported True
  topics --delete --if-exists --topic newtopic
}

case_delete_records() {
  make "$topic" 1
  produce "$topic" 100
  echo "{\"version\": 1, \"partitions\": [{\"topic\": \"$topic\", \"partition\": 0, \"offset\": 40}]}" > until.json
  shown said tool DeleteRecordsCommand --offset-json-file until.json
  has said 'low_watermark: 40'
  tool GetOffsetShell --topic "$topic" --time -2 > first
  has first "$topic:0:40"
  tool GetOffsetShell --topic "$topic" --time -1 > end
  has end "$topic:0:100"
  consume "$topic" consumed
  same 'first record' "$(head -n 1 consumed)" 40
}

case_get_offsets() {
  local time sum
  make "$topic" 3
  produce "$topic" 300 --repeating-keys 50
  for time in -1 -2 -3 1; do
    shown "offsets$time" tool GetOffsetShell --topic "$topic" --time "$time"
  done
  sum() { awk -F: '{ sum += $3 } END { print sum }' "$1"; }
  same 'ends' "$(sum offsets-1)" 300
  same 'beginnings' "$(sum offsets-2)" 0
  has offsets1 "$topic:0:0"
}
