//! A blocking Kafka connection for the load generators: requests that are encoded beforehand go out as they are, and
//! of a response only what a generator must know is read.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use protocol::frame::{self, RequestHeader};
use protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use protocol::messages::delete_topics::DeleteTopicsRequest;
use protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use protocol::{Message, Request, Str};

/// A response must come within this time; Apache Kafka may pause for seconds when its disk is busy.
pub(crate) const RESPONSE_LIMIT: Duration = Duration::from_secs(60);

/// Responses above this size are a mistake here: no generator asks for more.
const MAX_RESPONSE_BYTES: usize = 64 << 20;

const METADATA_VERSION: i16 = 9;
const CREATE_TOPICS_VERSION: i16 = 5;
const DELETE_TOPICS_VERSION: i16 = 4;

/// A connection that has at most one of its own requests open; generators pipeline frames of their own over it.
pub(crate) struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(addr: SocketAddr) -> Result<Connection> {
        Connection::over(TcpStream::connect(addr).with_context(|| format!("connect to {addr}"))?)
    }

    /// Uses a connected stream.
    pub(crate) fn over(stream: TcpStream) -> Result<Connection> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(RESPONSE_LIMIT))?;
        Ok(Connection { stream })
    }

    /// A second handle of the same connection, so that one thread writes while another reads.
    pub(crate) fn split(&self) -> Result<Connection> {
        Ok(Connection { stream: self.stream.try_clone().context("share the socket")? })
    }

    /// Sends a whole frame, length included.
    pub(crate) fn send(&mut self, frame: &[u8]) -> Result<()> {
        self.stream.write_all(frame).context("send a request")
    }

    /// Receives the next frame, without its length, into a buffer that is used again.
    pub(crate) fn receive(&mut self, into: &mut Vec<u8>) -> Result<()> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).context("wait for a response")?;
        let length = usize::try_from(i32::from_be_bytes(length)).context("negative length")?;
        ensure!(length <= MAX_RESPONSE_BYTES, "a response of {length} bytes");
        into.resize(length, 0);
        self.stream.read_exact(into).context("read a response")
    }

    /// How many brokers the cluster has.
    pub(crate) fn brokers(&mut self) -> Result<usize> {
        Ok(self.metadata(Vec::new())?.brokers.len())
    }

    /// Whether every partition of a topic has a leader.
    pub(crate) fn has_leaders(&mut self, topic: &str) -> Result<bool> {
        let wanted = MetadataRequestTopic { name: Some(Str::from(topic)), ..Default::default() };
        Ok(self.metadata(vec![wanted])?.topics.iter().all(|topic| {
            topic.error_code == 0
                && !topic.partitions.is_empty()
                && topic
                    .partitions
                    .iter()
                    .all(|partition| partition.error_code == 0 && partition.leader_id >= 0)
        }))
    }

    fn metadata(&mut self, topics: Vec<MetadataRequestTopic>) -> Result<MetadataResponse> {
        self.call(&MetadataRequest { topics: Some(topics), ..Default::default() }, METADATA_VERSION)
    }

    /// Creates a topic and waits until it can be used.
    pub(crate) fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<()> {
        let settings = settings.iter().map(|(name, value)| CreatableTopicConfig {
            name: Str::from(*name),
            value: Some(Str::from(*value)),
        });
        let topic = CreatableTopic {
            name: Str::from(name),
            num_partitions: partitions,
            replication_factor: 1,
            configs: settings.collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
        for topic in self.call(&request, CREATE_TOPICS_VERSION)?.topics {
            ensure!(topic.error_code == 0, "create topic {name}: error {}", topic.error_code);
        }
        // Apache Kafka answers before its own partitions are there.
        for _ in 0..500 {
            if self.has_leaders(name)? {
                return Ok(());
            }
            crate::clock::pause(Duration::from_millis(10));
        }
        bail!("topic {name} got no leaders")
    }

    /// Deletes a topic.
    pub(crate) fn delete_topic(&mut self, name: &str) -> Result<()> {
        let request = DeleteTopicsRequest {
            topic_names: vec![Str::from(name)],
            timeout_ms: 30_000,
            ..Default::default()
        };
        for topic in self.call(&request, DELETE_TOPICS_VERSION)?.responses {
            ensure!(topic.error_code == 0, "delete topic {name}: error {}", topic.error_code);
        }
        Ok(())
    }

    fn call<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response> {
        self.send(&encode(request, version)?)?;
        let mut response = Vec::new();
        self.receive(&mut response)?;
        decode::<R>(Bytes::from(response), version)
    }
}

/// A request with its length and header, ready to be sent.
pub(crate) fn encode<R: Request>(request: &R, version: i16) -> Result<Vec<u8>> {
    let header = RequestHeader {
        key: R::KEY,
        version,
        correlation_id: 1,
        client_id: Some(Str::from("penstock-bench")),
    };
    let mut out = frame::request(&header)?;
    request.encode(&mut out, version)?;
    Ok(out.finish().into_bytes().context("a request has all its bytes")?.to_vec())
}

/// The body of a response to a request of this type.
pub(crate) fn decode<R: Request>(response: Bytes, version: i16) -> Result<R::Response> {
    let (_, mut body) = frame::decode_response(R::KEY, version, response)?;
    Ok(R::Response::decode(&mut body, version)?)
}
