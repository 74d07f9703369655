//! A new file under `src/all` is a new module without any other file changing; cargo must look there again.

fn main() {
    println!("cargo:rerun-if-changed=src/all");
}
