//! A client that sends what it is told to send, right or wrong.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use bytes::Bytes;
use protocol::batch::{BatchError, Builder, Compression};
use protocol::codec::{Message, Request};
use protocol::frame::{self, RequestHeader};
use protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, PartitionData};
use protocol::messages::init_producer_id::InitProducerIdRequest;
use protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};
use protocol::{ErrorCode, Str};

use super::process::{Broker, PATIENCE};

pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    correlation_id: i32,
}

impl Client {
    pub(crate) fn connect(broker: &Broker) -> Client {
        Client::on(TcpStream::connect(&broker.address).expect("the broker listens"))
    }

    /// Connects from a certain address of this machine, all of whose `127.x.y.z` are its own.
    pub(crate) fn connect_from(broker: &Broker, here: Ipv4Addr) -> Client {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.bind((here, 0).into())?;
            socket.connect(broker.address.parse().expect("an address")).await?.into_std()
        });
        let stream = stream.expect("the broker listens");
        stream.set_nonblocking(false).expect("a socket");
        Client::on(stream)
    }

    fn on(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        Client { stream, correlation_id: 0 }
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn over(stream: S) -> Client<S> {
        Client { stream, correlation_id: 0 }
    }

    /// Sends a request and gives its correlation id.
    pub(crate) fn send<Q: Request>(&mut self, version: i16, request: &Q) -> i32 {
        self.try_send(version, request).expect("sent")
    }

    /// The same to a broker that may be gone.
    pub(crate) fn try_send<Q: Request>(&mut self, version: i16, request: &Q) -> io::Result<i32> {
        self.correlation_id += 1;
        let header = RequestHeader {
            key: Q::KEY,
            version,
            correlation_id: self.correlation_id,
            client_id: Some(Str::from("test")),
        };
        let mut out = frame::request(&header).expect("a header");
        request.encode(&mut out, version).expect("fits its version");
        self.stream.write_all(&out.finish().into_bytes().expect("all here"))?;
        Ok(self.correlation_id)
    }

    pub(crate) fn receive_frame(&mut self) -> io::Result<Bytes> {
        let mut prefix = [0; 4];
        self.stream.read_exact(&mut prefix)?;
        let mut body = vec![0; usize::try_from(i32::from_be_bytes(prefix)).expect("positive")];
        self.stream.read_exact(&mut body)?;
        Ok(body.into())
    }

    pub(crate) fn receive<Q: Request>(&mut self, version: i16) -> (i32, Q::Response) {
        self.try_receive::<Q>(version).expect("an answer")
    }

    /// The same from a broker that may be gone.
    pub(crate) fn try_receive<Q: Request>(&mut self, version: i16) -> io::Result<(i32, Q::Response)> {
        let frame = self.receive_frame()?;
        let (id, mut body) = frame::decode_response(Q::KEY, version, frame).expect("a header");
        Ok((id, Q::Response::decode(&mut body, version).expect("an answer of that version")))
    }

    pub(crate) fn call<Q: Request>(&mut self, version: i16, request: &Q) -> Q::Response {
        let sent = self.send(version, request);
        let (received, response) = self.receive::<Q>(version);
        assert_eq!(sent, received);
        response
    }

    pub(crate) fn create(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> i16 {
        let configs = configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig { name: (*name).into(), value: Some((*value).into()) });
        let topic = CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.collect(),
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 5_000, ..Default::default() };
        self.call(6, &request).topics[0].error_code
    }

    pub(crate) fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        records: Bytes,
    ) -> PartitionProduceResponse {
        let response = self.call(9, &produce_request(topic, partition, records, -1));
        response.responses[0].partition_responses[0].clone()
    }

    pub(crate) fn fetch(&mut self, topic: &str, partition: i32, offset: i64, wait_ms: i32) -> PartitionData {
        self.call(11, &fetch_request(topic, partition, offset, wait_ms)).responses[0].partitions[0].clone()
    }

    /// A fresh producer id.
    pub(crate) fn producer_id(&mut self) -> i64 {
        let request = InitProducerIdRequest { transactional_id: None, ..InitProducerIdRequest::default() };
        let response = self.call(4, &request);
        assert_eq!(response.error_code, 0);
        response.producer_id
    }

    /// Offset at a time or place (-1 end, -2 begin).
    pub(crate) fn offset(&mut self, topic: &str, partition: i32, timestamp: i64) -> i64 {
        let asked = ListOffsetsPartition {
            partition_index: partition,
            current_leader_epoch: -1,
            timestamp,
            ..Default::default()
        };
        let topics = vec![ListOffsetsTopic { name: topic.into(), partitions: vec![asked] }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        let response = self.call(7, &request);
        let found = &response.topics[0].partitions[0];
        assert_eq!(found.error_code, 0);
        found.offset
    }

    /// Whether the broker closes the connection without another byte.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(read) => read == 0,
            Err(error) => matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe),
        }
    }
}

pub(crate) fn produce_request(topic: &str, partition: i32, records: Bytes, acks: i16) -> ProduceRequest {
    let data = PartitionProduceData { index: partition, records: Some(records) };
    let topic =
        TopicProduceData { name: topic.into(), partition_data: vec![data], ..TopicProduceData::default() };
    ProduceRequest { acks, timeout_ms: 5_000, topic_data: vec![topic], ..ProduceRequest::default() }
}

pub(crate) fn fetch_request(topic: &str, partition: i32, offset: i64, wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition {
        partition,
        current_leader_epoch: -1,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    FetchRequest {
        replica_id: -1,
        max_wait_ms: wait_ms,
        min_bytes: 1,
        max_bytes: 10 << 20,
        topics: vec![FetchTopic {
            topic: topic.into(),
            partitions: vec![partition],
            ..FetchTopic::default()
        }],
        ..FetchRequest::default()
    }
}

/// A batch of these values.
pub(crate) fn batch(values: &[&str]) -> Bytes {
    build(Builder::new(Compression::None), values)
}

/// A batch of an idempotent producer.
pub(crate) fn numbered(id: i64, epoch: i16, sequence: i32, values: &[&str]) -> Bytes {
    build(Builder::new(Compression::None).producer(id, epoch, sequence), values)
}

pub(crate) fn build(mut builder: Builder, values: &[&str]) -> Bytes {
    for value in values {
        builder.push(1_700_000_000_000, None, Some(value.as_bytes()), &[]);
    }
    builder.build().expect("in memory").freeze()
}

/// The values of all records in fetched bytes.
pub(crate) fn values(data: &PartitionData) -> Vec<String> {
    records(data).into_iter().map(|(_, value)| value).collect()
}

/// Offset and value of all records in fetched bytes.
pub(crate) fn records(data: &PartitionData) -> Vec<(i64, String)> {
    assert_eq!(data.error_code, 0);
    let Some(records) = data.records.as_ref().and_then(|records| records.bytes()) else { return Vec::new() };
    let mut found = Vec::new();
    for batch in protocol::batch::split(records.clone()) {
        let batch = match batch {
            Ok(batch) => batch,
            // Limits cut the last batch, which the consumer asks for again.
            Err(BatchError::Truncated { .. }) => break,
            Err(error) => panic!("{error}"),
        };
        for record in batch.records(1 << 20).expect("open") {
            let record = record.expect("sound");
            let value = record.value.expect("a value");
            found.push((record.offset, String::from_utf8(value.to_vec()).expect("text")));
        }
    }
    found
}

pub(crate) fn code(error: ErrorCode) -> i16 {
    error.code()
}
