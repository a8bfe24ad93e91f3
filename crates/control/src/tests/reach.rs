//! A database that is away.

use std::time::Duration;

use keyring::seal::MasterKey;
use model::Timestamp;
use store::Store;

use super::brokers::Pretended;
use super::settings;
use crate::{Control, Problem};

#[tokio::test]
async fn a_database_that_is_away_is_said_to_be_within_a_bound() {
    // Bound and never accepted from: connecting works, and then nothing is said.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refusing = {
        let bound = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        bound.local_addr().unwrap().port()
    };
    for port in [silent.local_addr().unwrap().port(), refusing] {
        let store = Store::connect(&format!("postgres://nobody@127.0.0.1:{port}/none")).unwrap();
        let key = MasterKey::from_bytes([7; 32]);
        let control = Control::with_brokers(settings(), store, key, Pretended::default(), || Timestamp(0));
        let answer = tokio::time::timeout(Duration::from_secs(10), control.authenticate("pen_x"));
        let problem = answer.await.expect("an answer within the bound").unwrap_err();
        assert!(matches!(problem, Problem::Unavailable { what: "database", .. }), "{problem:?}");
        assert!(problem.retry_after_seconds().is_some());
        assert!(!problem.to_string().contains("127.0.0.1"), "the public sentence names no address");
    }
}
