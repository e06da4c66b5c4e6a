//! What every stream of events begins with (C-2, E-2).

/// A comment of 2 KiB that a stream begins with.
pub(in crate::relay) const PADDING: &str = match core::str::from_utf8(&COMMENT) {
    Ok(comment) => comment,
    Err(_) => panic!("it is ASCII"),
};

const COMMENT: [u8; 2_051] = {
    let mut comment = [b'.'; 2_051];
    comment[0] = b':';
    comment[2_049] = b'\n';
    comment[2_050] = b'\n';
    comment
};

/// The head of a stream: nothing on the way may keep it, change it or wait for its end.
pub(in crate::relay) const HEAD: [(&str, &str); 4] = [
    ("content-type", "text/event-stream"),
    ("cache-control", "no-cache, no-transform"),
    ("x-accel-buffering", "no"),
    ("x-content-type-options", "nosniff"),
];
