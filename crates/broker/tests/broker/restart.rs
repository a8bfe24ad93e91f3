//! What survives: an orderly stop, a crash, and what two brokers on one directory do.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use protocol::messages::describe_log_dirs::DescribeLogDirsRequest;

use super::client::{Client, batch, numbered, values};
use super::process::{Broker, pause};

#[test]
fn an_orderly_stop_loses_nothing_and_the_next_start_checks_nothing() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 3, &[("retention.ms", "123456789")]), 0);
    client.produce("t", 2, batch(&["a", "b"]));
    let id = client.producer_id();
    client.produce("t", 1, numbered(id, 0, 0, &["x"]));
    let broker = broker.stop_and_restart();
    assert_eq!(broker.metric("penstock_broker_recovered_logs"), 0.0);
    let mut client = Client::connect(&broker);
    assert_eq!(values(&client.fetch("t", 2, 0, 0)), ["a", "b"]);
    let next = client.producer_id();
    assert!(next > id, "{next} after {id}: producer ids never repeat");
    // The producer goes on where it was, and its repetition is still known.
    assert_eq!(client.produce("t", 1, numbered(id, 0, 0, &["x"])).base_offset, 0);
    assert_eq!(client.produce("t", 1, numbered(id, 0, 1, &["y"])).base_offset, 1);
}

#[test]
fn a_crash_loses_nothing_that_was_acknowledged() {
    let mut broker = Broker::start(&[]);
    let mut id = -1;
    for round in 0..5 {
        let mut client = Client::connect(&broker);
        if round == 0 {
            // The records are of 2023, which the default retention would not keep.
            assert_eq!(client.create("t", 1, &[("retention.ms", "-1")]), 0);
        }
        let next = client.producer_id();
        assert!(next > id);
        id = next;
        for sequence in 0..20 {
            let value = format!("{round}.{sequence}");
            assert_eq!(client.produce("t", 0, numbered(id, 0, sequence, &[&value])).error_code, 0);
        }
        broker = broker.crash_and_restart();
        let mut client = Client::connect(&broker);
        let repeated = client.produce("t", 0, numbered(id, 0, 19, &[&format!("{round}.19")]));
        assert_eq!(
            (repeated.error_code, repeated.base_offset),
            (0, round * 20 + 19),
            "known after the crash"
        );
    }
    let mut client = Client::connect(&broker);
    let expected: Vec<String> =
        (0..5).flat_map(|round| (0..20).map(move |sequence| format!("{round}.{sequence}"))).collect();
    assert_eq!(values(&client.fetch("t", 0, 0, 0)), expected);
    assert!(broker.metric("penstock_broker_recovered_logs") >= 1.0);
}

#[test]
fn a_second_broker_on_the_same_directory_says_so_and_ends() {
    let broker = Broker::start(&[]);
    let second = Command::new(env!("CARGO_BIN_EXE_penstock-broker"))
        .args(["dev", "--listen", "127.0.0.1:0", "--data"])
        .arg(broker.data())
        .output()
        .expect("runs");
    assert_eq!(second.status.code(), Some(2));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("another broker is using it"), "{said}");
    assert!(second.stdout.is_empty());
}

#[test]
fn a_broker_that_replaces_another_waits_for_its_end() {
    let mut broker = Broker::start(&[]);
    let mut second = Command::new(env!("CARGO_BIN_EXE_penstock-broker"))
        .args(["dev", "--listen", "127.0.0.1:0", "--data"])
        .arg(broker.data())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("runs");
    pause(Duration::from_millis(300));
    assert!(second.try_wait().expect("its state").is_none(), "it gave up at once");
    assert_eq!(broker.terminate(), Some(0));
    let mut line = String::new();
    let stdout = second.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    second.kill().expect("killed");
    second.wait().expect("ended");
    assert!(line.starts_with("ready "), "{line}");
}

#[test]
fn what_a_person_must_fix_is_one_sentence_and_exit_code_2() {
    let broker = Broker::start(&[]);
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("d").display().to_string();
    let attempts: [(&[&str], &str); 3] = [
        (&["dev", "--data", &data, "--listen", &broker.address], "cannot listen on"),
        (&["dev", "--data", "/proc/nowhere", "--listen", "127.0.0.1:0"], "data directory /proc/nowhere"),
        (&["dev", "--data", &data, "--listen", "127.0.0.1:0", "--set", "num.partition=3"], "num.partition"),
    ];
    for (arguments, sentence) in attempts {
        let ended =
            Command::new(env!("CARGO_BIN_EXE_penstock-broker")).args(arguments).output().expect("runs");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains(sentence) && said.contains("error: "), "{said}");
    }
}

#[test]
fn broker_json_says_where_the_process_is_and_goes_with_it() {
    let mut broker = Broker::start(&["penstock.instance=abc"]);
    let path = broker.data().join("broker.json");
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).expect("written")).expect("JSON");
    assert_eq!(json["listeners"]["PLAINTEXT"], broker.address.as_str());
    assert_eq!((&json["instance"], &json["admin"]), (&"abc".into(), &broker.admin.as_str().into()));
    assert_eq!(broker.terminate(), Some(0));
    assert!(!path.exists());
}

#[test]
fn retention_also_finds_logs_that_nobody_used_since_the_start() {
    let settings = ["log.retention.check.interval.ms=50", "log.segment.delete.delay.ms=0"];
    let broker = Broker::start(&settings);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[]), 0);
    assert_eq!(client.produce("t", 0, batch(&["old"])).error_code, 0);
    let broker = broker.stop_and_restart_with("log.retention.ms=1");
    let freed = || broker.metric("penstock_broker_freed_bytes_total") > 0.0;
    assert!(super::process::eventually(freed), "without a client having asked for the topic");
    let mut client = Client::connect(&broker);
    assert_eq!((client.offset("t", 0, -2), client.offset("t", 0, -1)), (1, 1));
}

#[test]
fn many_logs_stop_together_and_come_back_clean() {
    let broker = Broker::start(&["log.flush.offset.checkpoint.interval.ms=200"]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 300, &[]), 0);
    for partition in 0..300 {
        assert_eq!(client.produce("t", partition, batch(&["a"])).error_code, 0);
    }
    let checkpoint = broker.data().join("recovery-point-offset-checkpoint");
    let lines = || std::fs::read_to_string(&checkpoint).unwrap_or_default().lines().count();
    assert!(super::process::eventually(|| lines() >= 300), "a checkpoint covers all of them");
    let broker = broker.stop_and_restart();
    assert_eq!(broker.metric("penstock_broker_recovered_logs"), 0.0);
    let mut client = Client::connect(&broker);
    for partition in [0, 150, 299] {
        assert_eq!(values(&client.fetch("t", partition, 0, 0)), ["a"]);
    }
}

#[test]
fn telling_how_long_logs_are_does_not_open_them() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 20, &[]), 0);
    for partition in 0..10 {
        assert_eq!(client.produce("t", partition, batch(&["some text"])).error_code, 0);
    }
    let sizes = |client: &mut Client| -> Vec<i64> {
        let request = DescribeLogDirsRequest { topics: None };
        let topics = client.call(2, &request).results.remove(0).topics;
        topics[0].partitions.iter().map(|partition| partition.partition_size).collect()
    };
    let open = sizes(&mut client);
    assert!(open[..10].iter().all(|size| *size > 60) && open[10..].iter().all(|size| *size == 0));
    let broker = broker.stop_and_restart();
    let mut client = Client::connect(&broker);
    // The first answer also makes what a connection needs.
    assert_eq!(client.offset("t", 19, -1), 0);
    let files = broker.open_files();
    assert_eq!(sizes(&mut client), open);
    assert_eq!(broker.open_files(), files);
}
