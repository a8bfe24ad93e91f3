//! Produce requests that come together: answered as a run, each as if it had come alone.

use std::io::{Cursor, Write};

use bytes::{Bytes, BytesMut};
use protocol::ErrorCode;
use protocol::batch::{Builder, Compression};
use protocol::messages::api_versions::ApiVersionsRequest;
use protocol::messages::produce::ProduceRequest;

use super::client::{Client, batch, build, code, produce_request, values};
use super::process::Broker;

/// Requests that are written and not yet sent.
type Pieces = Client<Cursor<Vec<u8>>>;

/// Sends requests in one piece, so that the broker has all of them when it looks at the first.
fn together(client: &mut Client, write: impl FnOnce(&mut Pieces)) {
    let mut requests = Client::over(Cursor::new(Vec::new()));
    write(&mut requests);
    client.stream.write_all(requests.stream.get_ref()).expect("sent");
}

fn acks_all(topic: &str, partition: i32, records: Bytes) -> ProduceRequest {
    produce_request(topic, partition, records, -1)
}

/// Error code and base offset of the next answer, which must be that to request `id`.
fn next(client: &mut Client, id: i32) -> (i16, i64) {
    let (received, response) = client.receive::<ProduceRequest>(9);
    assert_eq!(received, id);
    let partition = &response.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

#[test]
fn each_of_a_run_has_its_own_answer() {
    let broker = Broker::start(&["auto.create.topics.enable=false"]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 2, &[]), 0);
    let mut damaged = BytesMut::from(&batch(&["x"])[..]);
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    together(&mut client, |client| {
        client.send(9, &acks_all("t", 0, batch(&["a"])));
        client.send(9, &acks_all("t", 0, batch(&["b", "c"])));
        client.send(9, &acks_all("t", 1, batch(&["one"])));
        client.send(9, &acks_all("t", 0, damaged.freeze()));
        client.send(9, &acks_all("nobody", 0, batch(&["x"])));
        client.send(9, &produce_request("t", 0, batch(&["d"]), 0));
        client.send(9, &acks_all("t", 0, batch(&["e"])));
        client.send(0, &ApiVersionsRequest::default());
        client.send(9, &acks_all("t", 0, batch(&["f"])));
    });
    let refused = |error| (code(error), -1);
    assert_eq!(next(&mut client, 1), (0, 0));
    assert_eq!(next(&mut client, 2), (0, 1));
    assert_eq!(next(&mut client, 3), (0, 0));
    assert_eq!(next(&mut client, 4), refused(ErrorCode::CorruptMessage));
    assert_eq!(next(&mut client, 5), refused(ErrorCode::UnknownTopicOrPartition));
    // The sixth wants no answer.
    assert_eq!(next(&mut client, 7), (0, 4));
    assert_eq!(client.receive::<ApiVersionsRequest>(0).0, 8);
    assert_eq!(next(&mut client, 9), (0, 5));
    assert_eq!(values(&client.fetch("t", 0, 0, 0)), ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(values(&client.fetch("t", 1, 0, 0)), ["one"]);
}

#[test]
fn sequences_are_judged_within_a_run() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[("penstock.durability", "fsync")]), 0);
    let id = client.producer_id();
    let records = |sequence, values: &[&str]| {
        acks_all("t", 0, build(Builder::new(Compression::None).producer(id, 0, sequence), values))
    };
    together(&mut client, |client| {
        client.send(9, &records(0, &["a", "b"]));
        client.send(9, &records(2, &["c"]));
        client.send(9, &records(2, &["c"]));
        client.send(9, &records(7, &["too early"]));
        client.send(9, &records(3, &["d"]));
        client.send(9, &records(0, &["a", "b"]));
    });
    assert_eq!(next(&mut client, 1), (0, 0));
    assert_eq!(next(&mut client, 2), (0, 2));
    assert_eq!(next(&mut client, 3), (0, 2), "sent twice, kept once");
    assert_eq!(next(&mut client, 4), (code(ErrorCode::OutOfOrderSequenceNumber), -1));
    assert_eq!(next(&mut client, 5), (0, 3));
    assert_eq!(next(&mut client, 6), (0, 0));
    assert_eq!(values(&client.fetch("t", 0, 0, 0)), ["a", "b", "c", "d"]);
}

#[test]
fn what_came_before_a_broken_request_is_answered() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[]), 0);
    let together_with = |broken: &dyn Fn(&mut Pieces), at: i64| {
        let mut client = Client::connect(&broker);
        together(&mut client, |client| {
            client.send(9, &acks_all("t", 0, batch(&["a"])));
            client.send(9, &acks_all("t", 0, batch(&["b"])));
            broken(client);
            client.send(9, &acks_all("t", 0, batch(&["behind it"])));
        });
        assert_eq!(next(&mut client, 1), (0, at));
        assert_eq!(next(&mut client, 2), (0, at + 1));
        assert!(client.is_closed());
    };
    // A body that ends in its middle; the header says version 9, flexible, no client id, no tagged fields.
    let short = [0, 0, 0, 12, 0, 0, 0, 9, 0, 0, 0, 3, 0xff, 0xff, 0, 0];
    together_with(&|client| client.stream.write_all(&short).expect("memory"), 0);
    // Nobody hears of a failure with acks=0 but by the end of the connection.
    together_with(
        &|client| {
            client.send(9, &produce_request("t", 7, batch(&["x"]), 0));
        },
        2,
    );
    assert!(broker.logs("closed a connection"));
}
