# Consumer groups of both protocols.

# Two members, one of which leaves in the middle: every record is seen at least once.
rebalance() {
  local member first
  make "$topic" 4
  for member in 1 2; do
    start "member$member.json" VerifiableConsumer --bootstrap-server "$BOOTSTRAP" --topic "$topic" \
      --group-id "$group" --verbose "${@//MEMBER/$member}"
    [ "$member" = 2 ] || first=$last
  done
  joined() { grep -q partitions_assigned member1.json && grep -q partitions_assigned member2.json; }
  within 40 joined
  start producer.json VerifiableProducer --bootstrap-server "$BOOTSTRAP" --topic "$topic" --max-messages 9000 --throughput 600
  local producer=$last
  within 30 grep -q record_data member1.json
  sleep 2
  kill -TERM "$first"
  wait "$producer"
  all_seen() { [ "$(count_numbers member1.json member2.json)" = 9000 ]; }
  within 30 all_seen
  has member1.json shutdown_complete
  [ "$(grep -c partitions_assigned member2.json)" -ge 2 ] || { echo 'no rebalance when a member left'; return 1; }
}
case_rebalance_range() { rebalance --session-timeout 10000; }
case_rebalance_static() { rebalance --session-timeout 10000 --group-instance-id instance-MEMBER; }
case_rebalance_cooperative() {
  rebalance --assignment-strategy org.apache.kafka.clients.consumer.CooperativeStickyAssignor
}
case_rebalance_848() { rebalance --group-protocol consumer; }

case_verifiable_round_trip_848() {
  make "$topic" 4
  produce "$topic" 5000
  tool VerifiableConsumer --topic "$topic" --group-id "$group" --group-protocol consumer --max-messages 5000 \
    --verbose > consumed.json
  same 'different records' "$(count_numbers consumed.json)" 5000
  same 'records' "$(grep -c '"name":"record_data"' consumed.json)" 5000
}

# A group from its first member to its deletion.
group_cycle() {
  make "$topic" 2
  produce "$topic" 100 --repeating-keys 20
  tool VerifiableConsumer --topic "$topic" --group-id "$group" --group-protocol "$1" --max-messages 100 > consumed.json
  groups_of --list > listed
  has listed "$group"
  groups_of --list --type "$1" --state empty > empty
  has empty "$group"
  described() { shown described groups_of --describe --group "$group" "$@"; }
  described
  has described "$group +$topic +0 +[0-9]+ +[0-9]+ +0"
  described --state
  has described Empty
  described --members
  has described 'no active members'

  reset() { shown said groups_of --reset-offsets --group "$group" --execute "$@"; }
  reset --topic "$topic" --to-earliest
  described
  has described "$topic +0 +0 "
  reset --topic "$topic:0" --shift-by 5
  described
  has described "$topic +0 +5 "
  reset --topic "$topic" --to-datetime 2020-01-01T00:00:00.000
  has said "$topic +0 +0"

  shown said groups_of --delete-offsets --group "$group" --topic "$topic"
  shown said groups_of --delete --group "$group"
  groups_of --list > gone
  lacks gone "$group"
}
case_groups_cycle() { group_cycle classic; }
case_groups_cycle_848() { group_cycle consumer; }

case_groups_describe_live() {
  local protocol
  make "$topic" 4
  produce "$topic" 100
  for protocol in classic consumer; do
    start "$protocol.json" VerifiableConsumer --bootstrap-server "$BOOTSTRAP" --topic "$topic" \
      --group-id "$protocol-$topic" --group-protocol "$protocol"
  done
  assigned() { grep -q partitions_assigned classic.json && grep -q partitions_assigned consumer.json; }
  within 20 assigned
  sleep 3
  for protocol in classic consumer; do
    shown members groups_of --describe --group "$protocol-$topic" --members --verbose
    has members "$protocol-$topic .* 4 "
    shown state groups_of --describe --group "$protocol-$topic" --state
    has state Stable
  done
  groups_of --delete --group "classic-$topic" > said 2>&1 || true
  has said 'not empty|non-empty|NonEmpty|GroupNotEmpty'
}

case_groups_command() {
  shown listed tool GroupsCommand --list
  has listed GROUP
}
