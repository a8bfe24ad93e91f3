//! The product as its users meet it: real programs, real Postgres, clients that other people wrote.
//!
//! Each module is one promise. [`broker`] starts a broker alone; [`platform`] is the harness that the others
//! share, a `penstock up` in a directory of its own. Nothing of the product is linked but what plays scenario files
//! ([`kubernetes`]): what a test knows, it learned from a port, a file or a line that users can see too.

mod bad_input;
mod broker;
mod browser;
mod clients;
mod console;
mod container;
mod demo;
mod faults;
mod heroku;
mod kubernetes;
mod platform;
mod rest;
mod thin_path;
mod walk;
