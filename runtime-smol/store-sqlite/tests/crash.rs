//! A process that is killed between any two instructions leaves a store with all that it had
//! answered, and of what it had not answered all or nothing.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use footbridge_core::store::conformance::check;
use footbridge_core::store::{Committed, MemoryStore, Store, Transaction};
use footbridge_store_sqlite::open;

/// Tells another run of this program to be the process that is killed: its store's directory.
const DIRECTORY: &str = "FOOTBRIDGE_TEST_STORE";

/// Not a test of its own: what the tests start. It commits each batch that it reads.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let mut store = open(directory.as_ref()).expect("a store").store;
    for line in std::io::stdin().lines() {
        let batch: Vec<Transaction> = serde_json::from_str(&line.expect("a line")).expect("JSON");
        let outcomes: Vec<Committed> =
            store.commit(&batch).into_iter().map(|outcome| outcome.expect("no failure")).collect();
        // The test harness prints, too.
        println!("\nanswer {}", serde_json::to_string(&outcomes).expect("JSON"));
    }
}

/// A process with the store.
struct Process {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<Vec<Committed>>,
}

impl Process {
    fn start(directory: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, answers) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // One that was cut off was not answered.
                let answer = line.strip_prefix("answer ").map(serde_json::from_str);
                if let Some(Ok(answer)) = answer {
                    let _ = sender.send(answer);
                }
            }
        });
        Self { child, stdin, answers }
    }

    fn ask(&mut self, batch: &[Transaction]) {
        let batch = serde_json::to_string(batch).expect("JSON");
        writeln!(self.stdin, "{batch}").expect("it reads");
    }

    fn answer(&self) -> Vec<Committed> {
        self.answers.recv_timeout(Duration::from_secs(60)).expect("an answer")
    }

    /// Kills it, and returns what it had answered until then.
    fn kill(mut self) -> Option<Vec<Committed>> {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
        self.answers.iter().next()
    }
}

/// What a store would hold that had carried these out.
struct Candidate {
    done: Vec<Transaction>,
    store: MemoryStore,
}

impl Candidate {
    fn of(done: Vec<Transaction>) -> Self {
        let mut store = MemoryStore::new();
        for transaction in &done {
            store.apply(transaction.clone());
        }
        Self { done, store }
    }

    fn apply(&mut self, batch: &[Transaction]) -> Vec<Committed> {
        self.done.extend_from_slice(batch);
        batch.iter().map(|transaction| self.store.apply(transaction.clone())).collect()
    }
}

fn run(seed: u64, operations: usize) -> Vec<Transaction> {
    let (mut memory, mut run) = (MemoryStore::new(), Vec::new());
    let checked = check(seed, operations, |transaction| {
        run.push(transaction.clone());
        memory.apply(transaction)
    });
    assert_eq!(checked, Ok(()));
    // How far reads alone have moved the clock may be lost.
    run.retain(|transaction| !transaction.op.is_read());
    run
}

#[test]
fn a_killed_process_leaves_all_that_it_answered_and_the_rest_whole_or_not_at_all() {
    let (mut kept, mut lost, mut kills) = (0, 0, 0);
    for seed in 0..4 {
        let directory = tempfile::tempdir().expect("a directory");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut process = Process::start(directory.path());
        let mut candidates = vec![Candidate::of(Vec::new())];
        let transactions = run(seed, 500);
        let mut rest = &transactions[..];
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(rng.usize(1..12).min(rest.len()));
            rest = after;
            process.ask(batch);
            let is_killed = rng.u8(..6) == 0;
            let answer = if is_killed {
                kills += 1;
                thread::sleep(Duration::from_micros(rng.u64(..1500)));
                let answer = process.kill();
                process = Process::start(directory.path());
                answer
            } else {
                Some(process.answer())
            };
            match answer {
                Some(answer) => candidates.retain_mut(|candidate| {
                    let expected = candidate.apply(batch);
                    kept += usize::from(is_killed);
                    expected == answer
                }),
                // What follows shows which of the two it was.
                None => {
                    lost += 1;
                    let both = std::mem::take(&mut candidates).into_iter().flat_map(|without| {
                        let mut with = Candidate::of(without.done.clone());
                        with.apply(batch);
                        [without, with]
                    });
                    candidates = both.collect();
                }
            }
            // A batch that changed nothing leaves nothing to tell them apart by.
            candidates.dedup_by_key(|candidate| format!("{:?}", candidate.store));
            assert!(!candidates.is_empty(), "seed {seed}: it is in no state that it could be in");
        }
    }
    assert!(kills > 40 && kept > 0 && lost > 0, "{kills} kills, {kept} answered, {lost} not");
}
