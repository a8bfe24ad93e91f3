//! A database for each test.
//!
//! All tests of a run share one Postgres server: the one named by [`SERVER_VARIABLE`] (`cargo xtask test`
//! starts it once for all test programs), else one that the first test of the program starts and that ends
//! with the program. Each test gets a database of its own, copied from a template to which all migrations
//! were applied once: copying takes some 30 ms, while the migrations take longer with each release.
//! Databases rather than schemas, because the product's code names no schema and a test may break what it
//! likes, LISTEN/NOTIFY included.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use anyhow::Context as _;
use postgres::{Durability, Managed};
use secrecy::ExposeSecret as _;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::sync::OnceCell;

/// Names the environment variable with the address of a Postgres superuser's database.
pub const SERVER_VARIABLE: &str = "PENSTOCK_TEST_DATABASE_URL";

/// The migrations, read when the test runs, so that a new file needs no rebuild.
const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");

/// The server of this test program, where the environment names none.
static SERVER: OnceCell<(PgConnectOptions, Option<Managed>)> = OnceCell::const_new();

/// The template of this test program's migrations.
static TEMPLATE: OnceCell<String> = OnceCell::const_new();

/// An empty database with all migrations applied, dropped with this value.
#[derive(Debug)]
pub struct Database {
    name: String,
    server: PgConnectOptions,
}

impl Database {
    /// Makes a database for one test.
    pub async fn create() -> Database {
        make().await.expect("a database for the test")
    }

    /// The address for `--database-url` and for pools.
    pub fn url(&self) -> String {
        self.server.clone().database(&self.name).to_url_lossy().into()
    }

    /// The name within the server.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (name, server) = (self.name.clone(), self.server.clone());
        // A test's runtime may be on its way down, so the statement gets a thread and a runtime of its own.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection = PgConnection::connect_with(&server).await?;
                run(&mut connection, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await
            })
        });
        let outcome = dropped.join();
        if !matches!(outcome, Ok(Ok(()))) && !std::thread::panicking() {
            panic!("could not drop the database {}: {outcome:?}", self.name);
        }
    }
}

async fn make() -> anyhow::Result<Database> {
    let (server, _) = SERVER.get_or_try_init(server).await?;
    let template = TEMPLATE.get_or_try_init(|| template(server)).await?;
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    let mut connection = PgConnection::connect_with(server).await.context("connecting to the test server")?;
    run(&mut connection, format!("CREATE DATABASE {name} TEMPLATE {template}")).await?;
    connection.close().await?;
    Ok(Database { name, server: server.clone() })
}

async fn server() -> anyhow::Result<(PgConnectOptions, Option<Managed>)> {
    if let Ok(url) = std::env::var(SERVER_VARIABLE) {
        let options = url.parse().with_context(|| format!("{SERVER_VARIABLE} is no database address"))?;
        return Ok((options, None));
    }
    let dir = std::env::temp_dir().join(format!("penstock-test-postgres-{}", std::process::id()));
    let mut managed = Managed::start(&dir, Durability::Disposable).await?;
    managed.stop_with_this_process()?;
    Ok((managed.url().expose_secret().parse()?, Some(managed)))
}

/// Makes the template if no other test program has made it. Its name is that of the migrations' content, so
/// that a server used by two versions of the project serves both.
async fn template(server: &PgConnectOptions) -> anyhow::Result<String> {
    let migrator = Migrator::new(Path::new(MIGRATIONS)).await.context("reading the migrations")?;
    let mut hasher = DefaultHasher::new();
    for migration in migrator.iter() {
        (migration.version, &migration.checksum).hash(&mut hasher);
    }
    let key = hasher.finish();
    let name = format!("template_{key:016x}");

    let mut connection = PgConnection::connect_with(server).await.context("connecting to the test server")?;
    // The lock ends with the connection.
    let lock = i64::from_ne_bytes(key.to_ne_bytes());
    sqlx::query("SELECT pg_advisory_lock($1)").bind(lock).execute(&mut connection).await?;
    let finished: Option<bool> =
        sqlx::query_scalar("SELECT datistemplate FROM pg_database WHERE datname = $1")
            .bind(&name)
            .fetch_optional(&mut connection)
            .await?;
    if finished != Some(true) {
        run(&mut connection, format!("DROP DATABASE IF EXISTS {name}")).await?;
        run(&mut connection, format!("CREATE DATABASE {name}")).await?;
        let mut inside = PgConnection::connect_with(&server.clone().database(&name)).await?;
        migrator.run(&mut inside).await.context("applying the migrations")?;
        inside.close().await?;
        // The mark of a finished template: a run that died before it begins anew.
        run(&mut connection, format!("ALTER DATABASE {name} IS_TEMPLATE true")).await?;
    }
    connection.close().await?;
    Ok(name)
}

/// Runs a statement about databases, which takes no parameters. Names in it are made here, from hexadecimal
/// digits only.
async fn run(connection: &mut PgConnection, statement: String) -> anyhow::Result<()> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_test_has_its_own_and_it_is_dropped() {
        let (one, two) = (Database::create().await, Database::create().await);
        let mut in_one = PgConnection::connect(&one.url()).await.expect("connection");
        sqlx::raw_sql("CREATE TABLE mine ()").execute(&mut in_one).await.expect("create");
        let mut in_two = PgConnection::connect(&two.url()).await.expect("connection");
        let found: Option<String> = sqlx::query_scalar("SELECT to_regclass('mine')::text")
            .fetch_one(&mut in_two)
            .await
            .expect("query");
        assert_eq!(found, None);

        let name = one.name().to_owned();
        drop(one); // with a session open in it
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname = $1")
            .bind(name)
            .fetch_one(&mut in_two)
            .await
            .expect("query");
        assert_eq!(left, 0);
    }
}
