//! Against the Postgres that is installed here. Without one these tests fail: the rest of the workspace's
//! tests need it too.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret as _;
use sqlx::{Connection as _, PgConnection};

use crate::account::Account;
use crate::{Durability, Managed, purge, stop};

/// A directory that other accounts may enter, unlike `tempfile`'s default.
fn open_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("temporary directory");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("mode");
    dir
}

/// Starts a server that cannot outlive the test.
async fn start(dir: &Path) -> Managed {
    let mut server = Managed::start(dir, Durability::Disposable).await.expect("Postgres starts");
    server.stop_with_this_process().expect("tether");
    server
}

async fn connect(server: &Managed) -> PgConnection {
    PgConnection::connect(server.url().expose_secret()).await.expect("connection")
}

async fn run(server: &Managed, statement: &'static str) {
    let mut connection = connect(server).await;
    sqlx::raw_sql(statement).execute(&mut connection).await.expect(statement);
    connection.close().await.expect("close");
}

fn lives(pid: i32) -> bool {
    // The working directory of a zombie is gone.
    std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok()
}

fn kill_9(pid: i32) {
    kill_process(Pid::from_raw(pid).expect("a process id"), Signal::KILL).expect("kill");
}

#[tokio::test]
async fn starts_is_adopted_stops_and_finds_its_data_again() {
    let dir = open_dir();
    let home = dir.path().join("postgres");
    let server = start(&home).await;
    assert!(!server.adopted());
    run(&server, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)").await;

    let second = Managed::start(&home, Durability::Disposable).await.expect("adopts");
    assert!(second.adopted());
    assert_eq!((second.pid(), second.url().expose_secret()), (server.pid(), server.url().expose_secret()));

    let (pid, url) = (second.pid(), server.url().expose_secret().to_owned());
    second.stop().await.expect("stops");
    assert!(!lives(pid));
    assert!(!stop(&home).await.expect("nothing to stop"));

    let again = Managed::start(&home, Durability::Disposable).await.expect("starts again");
    assert_eq!(again.url().expose_secret(), url, "port and password stay");
    run(&again, "UPDATE kept SET n = n + 1").await;
    let mode = home.join("password").metadata().expect("password").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    again.stop().await.expect("stops");
}

#[tokio::test]
async fn asks_for_the_password_and_listens_on_loopback_only() {
    let dir = open_dir();
    let server = start(&dir.path().join("postgres")).await;
    let url = server.url().expose_secret();
    let password = url.split([':', '@']).nth(2).expect("a password in the address");
    let wrong = url.replace(password, "guess");
    let refused = PgConnection::connect(&wrong).await.expect_err("a wrong password");
    assert!(refused.to_string().contains("password authentication failed"), "{refused}");
    let port: u16 = url.split([':', '/']).rev().nth(1).expect("port").parse().expect("a port");
    assert!(std::net::TcpStream::connect(("127.0.0.2", port)).is_err());
}

#[tokio::test]
async fn a_killed_server_comes_back_on_its_port() {
    let dir = open_dir();
    let mut server = Managed::start(&dir.path().join("postgres"), Durability::Durable).await.expect("starts");
    server.stop_with_this_process().expect("tether");
    run(&server, "CREATE TABLE kept (n int)").await;
    let (first_pid, url) = (server.pid(), server.url().expose_secret().to_owned());
    kill_9(first_pid);

    let back = async {
        loop {
            let connection = PgConnection::connect(&url).await;
            if let Ok(mut connection) = connection {
                break sqlx::raw_sql("INSERT INTO kept VALUES (1)").execute(&mut connection).await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = server.keep_running() => unreachable!("it runs until it is dropped"),
        written = back => { written.expect("what was committed is there"); }
    }
    assert_ne!(server.pid(), first_pid);
    assert_eq!(server.url().expose_secret(), url);
}

#[tokio::test]
async fn takes_another_port_when_its_own_is_taken() {
    let dir = open_dir();
    let home = dir.path().join("postgres");
    let server = start(&home).await;
    let port = std::fs::read_to_string(home.join("port")).expect("port");
    let tether = server; // keeps the cleanup while the server is down
    stop(&home).await.expect("stops");
    let _taken =
        std::net::TcpListener::bind(("127.0.0.1", port.trim().parse().expect("a port"))).expect("bind");
    let again = Managed::start(&home, Durability::Disposable).await.expect("starts");
    assert!(!again.url().expose_secret().contains(port.trim()));
    run(&again, "SELECT 1").await;
    again.stop().await.expect("stops");
    drop(tether);
}

#[tokio::test]
async fn ends_with_its_owner_and_leaves_nothing() {
    let dir = open_dir();
    let home = dir.path().join("postgres");
    let server = start(&home).await;
    let pid = server.pid();
    drop(server);
    for _ in 0..500 {
        if !lives(pid) && !home.exists() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("still there after 10 s: process {}, directory {}", lives(pid), home.exists());
}

/// Root only: an ordinary user's own directories are never closed to the user.
#[tokio::test]
async fn a_place_closed_to_the_account_moves_the_data_and_purge_finds_it() {
    let Account::Other { .. } = Account::choose().expect("an account") else { return };
    let closed = open_dir();
    std::fs::set_permissions(closed.path(), std::fs::Permissions::from_mode(0o700)).expect("mode");
    let home = closed.path().join("postgres");
    let mut server = Managed::start(&home, Durability::Disposable).await.expect("starts");
    server.stop_with_this_process().expect("tether");
    let data = home.join("data").canonicalize().expect("data");
    assert!(data.starts_with("/var/lib/penstock"), "{}", data.display());
    run(&server, "SELECT 1").await;
    purge(&home).await.expect("purges");
    assert!(!data.parent().expect("parent").exists());
    assert!(!home.exists());
    assert!(!lives(server.pid()));
}

/// When root runs the tests they run once more as an ordinary user, who needs no other account.
#[test]
fn works_for_an_ordinary_user() {
    let Account::Other { uid, gid, .. } = Account::choose().expect("an account") else { return };
    let dir = open_dir();
    // The build directory may be closed to that user.
    let program = dir.path().join("tests");
    std::fs::copy(std::env::current_exe().expect("this program"), &program).expect("copy");
    std::os::unix::fs::chown(dir.path(), Some(uid), Some(gid)).expect("chown");
    let output = std::process::Command::new(&program)
        .args(["--test-threads=1", "--exact", "tests::starts_is_adopted_stops_and_finds_its_data_again"])
        .arg("tests::ends_with_its_owner_and_leaves_nothing")
        .env("TMPDIR", dir.path())
        .current_dir("/")
        .uid(uid)
        .gid(gid)
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("2 passed"), "{said}");
}
