# Share groups (KIP-932).

from_the_beginning() {
  settings --alter --entity-type groups --entity-name "$group" --add-config share.auto.offset.reset=earliest
}
share_consume() {
  tool consumer.ConsoleShareConsumer --topic "$topic" --group "$group" "$@" 2> consumer.err
}

case_share_console() {
  make "$topic" 2
  produce "$topic" 2000
  from_the_beginning
  share_consume --max-messages 2000 --timeout-ms 20000 > out
  same 'different records' "$(sort -n out | uniq | wc -l)" 2000
}

case_share_verifiable() {
  make "$topic" 2
  produce "$topic" 2000
  local mode
  for mode in sync async; do
    start "$mode.json" VerifiableShareConsumer --bootstrap-server "$BOOTSTRAP" --topic "$topic" --group-id "$group" \
      --offset-reset-strategy earliest --acknowledgement-mode "$mode" --verbose
  done
  all_seen() { [ "$(count_numbers sync.json async.json)" = 2000 ]; }
  within 40 all_seen
  cat sync.json async.json > both.json
  has both.json offsets_acknowledged
  lacks both.json 'offsets_acknowledged.*"success":false'
}

case_share_release_reject() {
  make "$topic" 1
  seq 1 20 | tool ConsoleProducer --topic "$topic"
  from_the_beginning
  deliver() { share_consume --timeout-ms 10000 --formatter-property print.delivery=true "$@"; }
  deliver --max-messages 20 --release > released
  same 'released' "$(wc -l < released)" 20
  has released 'Delivery:1'
  deliver --max-messages 20 --reject > rejected
  same 'rejected' "$(wc -l < rejected)" 20
  has rejected 'Delivery:2'
  deliver > left || true
  same 'left' "$(wc -l < left)" 0
}

case_share_perf() {
  make "$topic" 2
  produce "$topic" 10000
  from_the_beginning
  shown said tool ShareConsumerPerformance --topic "$topic" --group "$group" --num-records 10000 --timeout 20000
  has said ', 10[0-9]{3}'
}

case_share_groups_command() {
  share_groups() { tool consumer.group.ShareGroupCommand "$@"; }
  make "$topic" 1
  produce "$topic" 100
  from_the_beginning
  share_consume --max-messages 100 --timeout-ms 10000 > out
  share_groups --list > listed
  has listed "$group"
  sleep 1
  shown described share_groups --describe --group "$group"
  has described "$group +$topic +0"
  shown state share_groups --describe --group "$group" --state
  has state Empty
  shown said share_groups --reset-offsets --to-earliest --topic "$topic" --group "$group" --execute
  has said "$topic +0 +0"
  share_consume --max-messages 100 --timeout-ms 10000 > again
  same 'records after the reset' "$(wc -l < again)" 100
  shown said share_groups --delete-offsets --group "$group" --topic "$topic"
  shown said share_groups --delete --group "$group"
  share_groups --list > gone
  lacks gone "$group"
}
