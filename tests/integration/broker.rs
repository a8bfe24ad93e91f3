//! A broker alone: what clients, its starter and a hostile peer see of `penstock-broker dev`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use testkit::process::{Process, World, binary};

use crate::clients::{self, Access};

struct Broker {
    process: Process,
    address: String,
}

fn command(data: &Path, listen: &str) -> Command {
    let mut command = Command::new(binary("penstock-broker"));
    command.arg("dev").arg("--data").arg(data).args(["--listen", listen]);
    // Groups form at once: nobody else will join.
    command.args(["--set", "group.initial.rebalance.delay.ms=0"]);
    command
}

fn start(world: &World, listen: &str) -> Broker {
    let mut process = world.start(&mut command(&world.path().join("data"), listen));
    let ready = process.wait_for_line("ready ");
    let address = ready
        .split_once("listeners=PLAINTEXT://")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .unwrap_or_else(|| panic!("no address in `{ready}`"));
    Broker { address: address.to_owned(), process }
}

#[test]
fn records_survive_kill_9_and_an_orderly_stop() {
    let world = World::new();
    let broker = start(&world, "127.0.0.1:0");
    let access = Access::plaintext(&broker.address);
    clients::produce(&access, "orders", &["one", "two", "three"]);
    assert_eq!(clients::consume(&access, "orders"), ["one", "three", "two"]);
    broker.process.kill_9();

    let broker = start(&world, &broker.address);
    assert_eq!(clients::consume(&access, "orders"), ["one", "three", "two"]);
    clients::produce(&access, "orders", &["four"]);
    assert_eq!(broker.process.stop().code(), Some(0));

    let _broker = start(&world, &broker.address);
    assert_eq!(clients::consume(&access, "orders"), ["four", "one", "three", "two"]);
}

#[test]
fn committed_offsets_survive_kill_9() {
    let world = World::new();
    let broker = start(&world, "127.0.0.1:0");
    let access = Access::plaintext(&broker.address);
    clients::produce(&access, "orders", &["a", "b"]);
    assert_eq!(clients::python("group.py", &[&access.json(), "billing", "orders", "2"]), "a\nb");
    broker.process.kill_9();

    let _broker = start(&world, &broker.address);
    clients::produce(&access, "orders", &["c"]);
    assert_eq!(clients::python("group.py", &[&access.json(), "billing", "orders", "1"]), "c");
}

#[test]
fn a_client_of_another_family_makes_the_round_trip() {
    let world = World::new();
    let broker = start(&world, "127.0.0.1:0");
    assert_eq!(clients::python("kafka_python.py", &[&broker.address, "events", "200"]), "200");
}

#[test]
fn what_keeps_it_from_starting_is_one_sentence_and_exit_code_2() {
    let world = World::new();
    let broker = start(&world, "127.0.0.1:0");
    let refused = |data: &Path, listen: &str, wanted: &str| {
        let output = command(data, listen).output().expect("the broker starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        let sentence = said.lines().find(|line| line.starts_with("error: "));
        assert!(sentence.is_some_and(|line| line.contains(wanted)), "wanted `{wanted}` in: {said}");
    };
    refused(&world.path().join("data"), "127.0.0.1:0", &world.path().join("data").display().to_string());
    refused(&world.path().join("other"), &broker.address, &broker.address);
    let file = world.path().join("file");
    std::fs::write(&file, "").expect("write");
    refused(&file, "127.0.0.1:0", &file.display().to_string());
}

#[test]
fn hostile_frames_close_one_connection_and_hurt_nobody() {
    let world = World::new();
    // Each of them is logged once; that is what an operator wants to see of it.
    world.allow("connection");
    let broker = start(&world, "127.0.0.1:0");
    let access = Access::plaintext(&broker.address);
    clients::produce(&access, "orders", &["before"]);
    let before = resident_kib(broker.process.pid());

    let frames: [&[u8]; 6] = [
        &[0xff, 0xff, 0xff, 0xff],                                // length -1
        &[0x7f, 0xff, 0xff, 0xff, 0, 0],                          // two gigabytes announced
        &[0, 0, 0, 2, 0, 0],                                      // shorter than any header
        &[0, 0, 0, 10, 0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff], // no such request
        &[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff], // two billion topics
        &[0, 0, 0, 100, 0, 3],                                    // cut short, then silence
    ];
    for frame in frames {
        for _ in 0..20 {
            let mut peer = TcpStream::connect(&broker.address).expect("connect");
            peer.set_read_timeout(Some(Duration::from_millis(500))).expect("timeout");
            peer.write_all(frame).expect("write");
            // Closed, an error code, or (for the frame that is cut short) nothing yet.
            let _ = peer.read(&mut [0; 512]);
            if frame == frames[5] {
                break;
            }
        }
    }
    assert_eq!(clients::consume(&access, "orders"), ["before"], "others are served");
    let grown = resident_kib(broker.process.pid()).saturating_sub(before);
    assert!(grown < 32 * 1024, "grew by {grown} KiB");
}

/// The resident memory of a process.
pub(crate) fn resident_kib(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
