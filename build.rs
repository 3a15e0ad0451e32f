//! Makes cargo notice that the web UI was built anew; building it is `make web`'s business.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=web/dist");
}
