//! How the smallest program is linked: without the tables for unwinding, which are a tenth of it and of
//! no use where a panic aborts, and with equal functions once. Only in the profile `minimal`, where a
//! panic does abort (cargo does not tell a build script whether it does: `CARGO_CFG_PANIC` is the
//! target's default), and only where the linker is known to be one that can do both: Rust's own for this
//! target.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=no-unwind-tables.ld");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    let is_known =
        is("TARGET", "x86_64-unknown-linux-gnu") && is("HOST", "x86_64-unknown-linux-gnu");
    // The profile's own name stands only in the path of its directory.
    let is_minimal = std::env::var("OUT_DIR")
        .is_ok_and(|out| Path::new(&out).iter().any(|part| part == "minimal"));
    if !(is_minimal && is_known) {
        return;
    }
    let directory = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    for argument in [
        "-Wl,--icf=all".to_owned(),
        "-Wl,--no-eh-frame-hdr".to_owned(),
        format!("-Wl,-T,{directory}/no-unwind-tables.ld"),
    ] {
        println!("cargo::rustc-link-arg-bin=footbridge-worker={argument}");
    }
}
