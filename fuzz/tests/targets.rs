//! Every fuzz target on its corpus, and on random changes of it for a few seconds.

use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use footbridge_fuzz::targets::TARGETS;

/// For each target.
const TIME: Duration = Duration::from_millis(1500);

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("a corpus")
        .map(|file| file.expect("a file").path())
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a file")).collect()
}

fn change(rng: &mut Rng, data: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..rng.u32(1..6) {
        let at = rng.usize(..=data.len());
        match rng.u8(..5) {
            0 => data.insert(at, rng.u8(..)),
            1 if at < data.len() => data[at] ^= 1 << rng.u8(..8),
            2 if at < data.len() => {
                data.remove(at);
            }
            3 => data.truncate(at),
            _ => {
                let from = rng.usize(..=other.len());
                let part = &other[from..(from + rng.usize(..24)).min(other.len())];
                data.splice(at..at, part.iter().copied());
            }
        }
    }
    data.truncate(4096);
}

#[test]
fn every_target_takes_its_corpus_and_random_changes_of_it() {
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name} has no corpus");
        corpus.iter().for_each(|data| target(data));
        let mut rng = Rng::with_seed(7);
        let until = Instant::now() + TIME;
        let mut runs = 0;
        let mut data = corpus[0].clone();
        while Instant::now() < until {
            if rng.u8(..) < 60 {
                data.clone_from(&corpus[rng.usize(..corpus.len())]);
            } else if rng.u8(..) < 40 {
                data = (0..rng.usize(..400)).map(|_| rng.u8(..)).collect();
            }
            let other = corpus[rng.usize(..corpus.len())].clone();
            change(&mut rng, &mut data, &other);
            target(&data);
            runs += 1;
        }
        println!("{name}: {runs} runs");
    }
}
