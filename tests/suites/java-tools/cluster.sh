# Topics and the cluster as administrators see them.

case_topics_cycle() {
  make "$topic" 3 --config retention.ms=123456 --config cleanup.policy=compact,delete
  topics --describe --topic "$topic" > described
  has described 'PartitionCount: 3'
  has described 'retention.ms=123456'
  has described 'TopicId: '
  refused said make "$topic" 1
  has said 'already exists'
  topics --create --if-not-exists --topic "$topic"
  topics --alter --topic "$topic" --partitions 5
  topics --describe --topic "$topic" > described
  has described 'PartitionCount: 5'
  has described 'Partition: 4'
  refused said topics --alter --topic "$topic" --partitions 2
  refused said topics --create --topic 'bad name'
  refused said topics --create --topic "$topic-nine" --replication-factor 9
  has said replication
  topics --list > listed
  has listed "^$topic\$"
  topics --delete --topic "$topic"
  sleep 1
  topics --list > listed
  lacks listed "^$topic\$"
  refused said topics --describe --topic "$topic"
}

case_log_dirs() {
  make "$topic" 1
  produce "$topic" 10
  shown said tool LogDirsCommand --describe --topic-list "$topic"
  has said "\"partition\":\"$topic-0\",\"size\":[1-9]"
}

case_features() {
  shown said tool FeatureCommand describe
  has said 'metadata.version'
  has said 'transaction.version.*FinalizedVersionLevel: 2'
  has said 'group.version.*FinalizedVersionLevel: 1'
  has said 'share.version.*FinalizedVersionLevel: 1'
  has said 'streams.version.*FinalizedVersionLevel: 1'
}

case_quorum() {
  shown said tool MetadataQuorumCommand describe --status
  has said LeaderId
  has said HighWatermark
}

case_cluster_id() {
  shown said java_of org.apache.kafka.tools.ClusterTool cluster-id --bootstrap-server "$BOOTSTRAP"
  has said 'Cluster ID: [A-Za-z0-9_-]{10,}'
}

case_api_versions() {
  shown said tool BrokerApiVersionsCommand
  has said 'Produce\(0\): .*13'
  has said 'Fetch\(1\): .*18'
  has said 'ConsumerGroupHeartbeat\(68\): '
  has said 'ShareFetch\(78\): '
  has said 'StreamsGroupHeartbeat\(88\): '
  lacks said 'Fetch\(1\): UNSUPPORTED'
}

case_reassign() {
  reassign() { tool reassign.ReassignPartitionsCommand "$@"; }
  make "$topic" 2
  echo "{\"version\": 1, \"topics\": [{\"topic\": \"$topic\"}]}" > topics.json
  echo "{\"version\": 1, \"partitions\": [{\"topic\": \"$topic\", \"partition\": 0, \"replicas\": [0]},
    {\"topic\": \"$topic\", \"partition\": 1, \"replicas\": [0]}]}" > plan.json
  shown said reassign --generate --broker-list 0 --topics-to-move-json-file topics.json
  has said 'Proposed partition'
  shown said reassign --execute --reassignment-json-file plan.json
  sleep 1
  shown said reassign --verify --reassignment-json-file plan.json
  has said 'is completed'
  shown said reassign --list
  has said 'No partition reassignments found'
}

case_leader_election() {
  make "$topic" 2
  shown said tool LeaderElectionCommand --election-type preferred --topic "$topic" --partition 0
  has said 'Valid replica already elected|Successfully completed'
}
