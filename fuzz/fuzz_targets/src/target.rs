//! One of the targets, named by `FUZZ_TARGET`, under libFuzzer.
#![no_main]

use std::sync::OnceLock;

use footbridge_fuzz::targets::TARGETS;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        let names = || TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
        let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
        match TARGETS.iter().find(|target| target.name == wanted) {
            Some(target) => target.run,
            None => panic!("set FUZZ_TARGET to one of: {}", names()),
        }
    });
    target(data);
});
