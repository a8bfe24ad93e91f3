//! Rebuilds the embedded migrations when a file is added; the macro by itself only notices changed ones.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}
