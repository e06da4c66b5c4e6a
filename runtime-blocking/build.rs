//! How the smallest program is linked: without the tables for unwinding, which are a tenth of it and of
//! no use where a panic aborts, and with equal functions once. Only where the linker is known to be one
//! that can do both: Rust's own for this target.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=no-unwind-tables.ld");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    let aborts = is("CARGO_CFG_PANIC", "abort");
    let is_known =
        is("TARGET", "x86_64-unknown-linux-gnu") && is("HOST", "x86_64-unknown-linux-gnu");
    let is_smallest = is("OPT_LEVEL", "z");
    if !(aborts && is_known && is_smallest) {
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
