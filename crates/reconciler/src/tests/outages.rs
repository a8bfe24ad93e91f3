//! A Postgres that goes away in the middle of everything and comes back.

use std::sync::Arc;
use std::time::Duration;

use agent::clock::System;
use model::resource::State;
use store::Store;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{Running, World, hurried};
use crate::Reconciler;

/// Stands between the reconciler and Postgres, and cuts the line when told to.
struct Line {
    up: watch::Sender<bool>,
    port: u16,
}

impl Line {
    async fn to(address: String) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (up, _) = watch::channel(true);
        let state = up.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (address, mut up) = (address.clone(), state.subscribe());
                tokio::spawn(async move {
                    let carried = carry(client, &address);
                    // Returns with both sockets dropped as soon as the line is cut.
                    tokio::select! {
                        _ = carried => {}
                        _ = up.wait_for(|up| !up) => {}
                    }
                });
            }
        });
        Line { up, port }
    }

    fn cut(&self) {
        self.up.send_replace(false);
    }

    fn mend(&self) {
        self.up.send_replace(true);
    }
}

async fn carry(mut client: TcpStream, address: &str) -> std::io::Result<()> {
    let mut server = TcpStream::connect(address).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// `user@host:port/name` in the middle of a URL, with another port in it.
fn through(url: &str, port: u16) -> (String, String) {
    let (before, rest) = url.split_once('@').unwrap();
    let (address, after) = rest.split_once('/').unwrap();
    (address.to_owned(), format!("{before}@127.0.0.1:{port}/{after}"))
}

#[tokio::test]
async fn what_was_asked_for_during_an_outage_happens_after_it() {
    let quiet = testkit::quiet();
    quiet.allow("Postgres does not answer; brokers go on, changes wait");
    // The pool's own line for each connection that was cut; programs do not log it.
    quiet.allow("sqlx_core::pool::connection");
    // Stopping may cut a begin or a commit off; what the driver then sends meets the other state.
    quiet.allow("transaction in progress");
    let world = World::new().await;
    let url = world.database.url();
    let (address, _) = through(&url, 0);
    let line = Arc::new(Line::to(address).await);
    let (_, url) = through(&url, line.port);
    let store = Store::connect(&url).unwrap();
    let reconciler =
        Reconciler::new(store, world.control.clone(), world.agents.clone(), System::now, hurried());
    let running = Running::start(reconciler);
    world.accept("before").await;
    world.ready("before").await;
    for outage in 0..3 {
        line.cut();
        let name = format!("during-{outage}");
        world.accept(&name).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let resource = world.control.resource(&world.caller, &name.as_str().into()).await.unwrap();
        assert_eq!(resource.state, State::Provisioning);
        line.mend();
        world.ready(&name).await;
    }
    running.stop().await;
}
