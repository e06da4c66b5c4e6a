//! The checked-in inputs of a target, and random changes to them, for runs without a fuzzer.

use std::path::{Path, PathBuf};

use fastrand::Rng;

/// Longest generated input.
const MAX_BYTES: usize = 4096;

/// The inputs of one target, by name.
///
/// # Panics
///
/// If they cannot be read, or there are none.
pub fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{target} has no corpus in {}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    assert!(!paths.is_empty(), "{target} has no corpus");
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).expect("it can be read");
        (path, bytes)
    };
    paths.into_iter().map(read).collect()
}

/// Endless inputs: those of a corpus with some changes, or random ones.
pub struct Changes {
    rng: Rng,
    corpus: Vec<Vec<u8>>,
    data: Vec<u8>,
}

impl Changes {
    /// Changes to a corpus, which must not be empty. The same seed gives the same ones.
    pub fn of(corpus: Vec<Vec<u8>>, seed: u64) -> Self {
        let data = corpus[0].clone();
        Self { rng: Rng::with_seed(seed), corpus, data }
    }

    /// The next input.
    pub fn next_input(&mut self) -> &[u8] {
        let Self { rng, corpus, data } = self;
        match rng.u8(..) {
            0..60 => data.clone_from(&corpus[rng.usize(..corpus.len())]),
            // Long enough to get anywhere.
            60..100 => *data = (0..rng.usize(..1200)).map(|_| rng.u8(..)).collect(),
            // Derived from the last one.
            _ => {}
        }
        let other = &corpus[rng.usize(..corpus.len())];
        for _ in 0..rng.u32(1..6) {
            change(rng, data, other);
        }
        data.truncate(MAX_BYTES);
        data
    }
}

fn change(rng: &mut Rng, data: &mut Vec<u8>, other: &[u8]) {
    let at = rng.usize(..=data.len());
    match rng.u8(..12) {
        0 | 1 => data.insert(at, rng.u8(..)),
        2 | 3 if at < data.len() => data[at] ^= 1 << rng.u8(..8),
        4 | 5 if at < data.len() => data[at] = rng.u8(..),
        6 if at < data.len() => {
            data.remove(at);
        }
        7 => data.truncate(at),
        _ => {
            let from = rng.usize(..=other.len());
            let part = &other[from..(from + rng.usize(..48)).min(other.len())];
            data.splice(at..at, part.iter().copied());
        }
    }
}
