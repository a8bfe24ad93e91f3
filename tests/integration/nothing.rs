//! Cargo wants a package to have a library or a program; the tests are in `main.rs`.
