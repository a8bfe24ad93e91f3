# Settings of topics, brokers, clients and users.

case_configs_topic() {
  make "$topic" 1
  of_topic() { settings --entity-type topics --entity-name "$topic" "$@"; }
  of_topic --alter --add-config 'retention.ms=5000,cleanup.policy=[compact,delete]'
  of_topic --describe > described
  has described 'retention.ms=5000'
  has described 'cleanup.policy=compact,delete'
  of_topic --describe --all > all
  has all 'segment.bytes=1073741824'
  has all 'max.message.bytes='
  of_topic --alter --delete-config retention.ms
  of_topic --describe > after
  lacks after 'retention.ms=5000'
  refused unknown of_topic --alter --add-config no.such.config=1
  refused bad of_topic --alter --add-config retention.ms=abc
}

case_configs_broker() {
  of_broker() { settings --entity-type brokers --entity-name 0 "$@"; }
  of_all() { settings --entity-type brokers --entity-default "$@"; }
  of_broker --describe --all > all
  has all 'num.partitions='
  has all 'log.retention'
  of_all --alter --add-config log.cleaner.backoff.ms=14999
  of_all --describe > described
  has described 'log.cleaner.backoff.ms=14999'
  of_all --alter --delete-config log.cleaner.backoff.ms
  refused said of_broker --alter --add-config no.dyn=1,broker.id=77
}

case_configs_quotas() {
  of_client() { settings --entity-type clients --entity-name "client-$topic" "$@"; }
  of_both() { settings --entity-type users --entity-name "user-$topic" --entity-type clients --entity-name "client-$topic" "$@"; }
  of_client --alter --add-config producer_byte_rate=1048576,consumer_byte_rate=2097152,request_percentage=90
  of_client --describe > described
  has described 'producer_byte_rate=1048576'
  of_both --alter --add-config producer_byte_rate=5000
  of_both --describe > described
  has described 'producer_byte_rate=5000'
  of_client --alter --delete-config producer_byte_rate,consumer_byte_rate,request_percentage
  of_both --alter --delete-config producer_byte_rate
  of_client --describe > described
  lacks described 'byte_rate='
}

# 2.5 MB at 200 kB/s.
case_quota_throttles() {
  make "$topic" 1
  of_client() { settings --alter --entity-type clients --entity-name "client-$topic" "$@"; }
  of_client --add-config producer_byte_rate=200000
  local began=$SECONDS
  shown said tool ProducerPerformance --topic "$topic" --num-records 2500 --record-size 1000 --throughput -1 \
    --command-property "client.id=client-$topic" batch.size=20000
  local took=$((SECONDS - began))
  of_client --delete-config producer_byte_rate
  [ "$took" -ge 8 ] || { echo "it took only $took s"; return 1; }
}

case_configs_scram() {
  of_user() { settings --entity-type users --entity-name "user-$topic" "$@"; }
  of_user --alter --add-config 'SCRAM-SHA-256=[iterations=8192,password=pw]'
  of_user --alter --add-config 'SCRAM-SHA-512=[password=pw]'
  of_user --describe > described
  has described 'SCRAM-SHA-256=iterations=8192'
  has described 'SCRAM-SHA-512=iterations=4096'
  of_user --alter --delete-config SCRAM-SHA-256
  of_user --alter --delete-config SCRAM-SHA-512
  of_user --describe > after
  lacks after 'SCRAM-SHA-256=iter'
}

case_client_metrics() {
  of_metrics() { tool ClientMetricsCommand "$@"; }
  of_metrics --alter --name "$topic" --metrics org.apache.kafka.producer. --interval 10000 --match client_id=none
  of_metrics --list > listed
  has listed "$topic"
  of_metrics --describe --name "$topic" > described
  has described 'interval.ms=10000'
  of_metrics --delete --name "$topic"
  of_metrics --list > gone
  lacks gone "$topic"
}

case_acls_cycle() {
  acls() { tool AclCommand "$@"; }
  acls --add --allow-principal User:alice --allow-host '*' --operation Read --operation Write --topic "$topic"
  acls --add --allow-principal User:bob --producer --topic "$topic-p" --resource-pattern-type prefixed
  acls --add --deny-principal User:eve --operation Read --group "$group"
  acls --add --allow-principal User:alice --operation Describe --transactional-id "id-$topic"
  acls --list --topic "$topic" > listed
  has listed 'User:alice.*(WRITE|READ)'
  acls --list --group "$group" > listed
  has listed 'User:eve.*DENY'
  acls --list --topic "$topic-pqr" --resource-pattern-type match > listed
  has listed PREFIXED
  acls --remove --force --allow-principal User:alice --allow-host '*' --operation Read --topic "$topic"
  acls --list --topic "$topic" > listed
  lacks listed 'operation=READ'
  acls --remove --force --topic "$topic"
  acls --remove --force --topic "$topic-p" --resource-pattern-type prefixed
  acls --remove --force --group "$group"
  acls --remove --force --transactional-id "id-$topic"
  acls --list --topic "$topic" > listed
  lacks listed User:alice
}
