//! The broker as clients meet it: a real process, real sockets, real files.
//!
//! Every test has its own process, directory and port. [`process`] starts and ends brokers and fails a test whose broker
//! wrote a WARN or ERROR line that the test does not expect; [`client`] speaks frames, good and bad.

mod client;
mod codes;
mod crashes;
mod crowd;
mod disk;
mod fairness;
mod groups;
mod hostile;
mod path;
mod process;
mod restart;
mod runs;
mod scale;
mod security;
mod settings;
