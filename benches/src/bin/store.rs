//! The durable store by itself, beside what its disk can do at all.
//!
//! `store [SESSIONS]`: how fast lines of 1 kB are stored, against a bare append and `fdatasync` of
//! the same bytes; how long a commit takes, against one `fdatasync`; and, with so many sessions
//! (10,000 unless told otherwise) of 100 kB each, how long the store takes to open, and the program
//! to be ready, and what that costs in memory.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use footbridge_benches::running::{Result, Running, build};
use footbridge_core::base::id::{EnvironmentId, SessionId, WorkId};
use footbridge_core::base::text::Text;
use footbridge_core::store::{
    AccountId, Answer, Line, MemoryStore, Origin, RelayTime, Store, StoreOp, StorePolicy,
    Transaction,
};
use footbridge_core::wire::worker_api::environment::{Metadata, Registration};

/// Bytes of one line.
const LINE: usize = 1_000;
/// Lines of one operation, and of a commit of one session.
const LINES: usize = 64;
/// Commits that are measured.
const COMMITS: usize = 2_000;

fn main() -> Result<()> {
    let sessions = std::env::args().nth(1).map_or(Ok(10_000), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    for round in 1..=3 {
        println!("round {round}");
        bare(&directory.path().join("bare"))?;
        appends("memory", &mut MemoryStore::new())?;
        let at = directory.path().join(format!("store-{round}"));
        appends("disk", &mut footbridge_store_sqlite::open(&at)?.store)?;
    }
    large(&directory.path().join("large"), sessions)
}

/// What the disk can do: each commit's bytes appended and synced.
fn bare(path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    let bytes = vec![b'x'; LINES * LINE];
    let mut times = Vec::new();
    let mut syncs = Vec::new();
    for _ in 0..COMMITS {
        let began = Instant::now();
        file.write_all(&bytes)?;
        let written = Instant::now();
        file.sync_data()?;
        times.push(began.elapsed());
        syncs.push(written.elapsed());
    }
    report("append + fdatasync", &mut times);
    report("  fdatasync of that", &mut syncs);
    Ok(())
}

fn appends(name: &str, store: &mut dyn Store) -> Result<()> {
    let mut writer = Writer::new(store)?;
    let link = writer.session(1)?;
    let mut times = Vec::new();
    for n in 0..COMMITS {
        let began = Instant::now();
        writer.append(1, link, n * LINES, LINES)?;
        times.push(began.elapsed());
    }
    report(name, &mut times);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn report(name: &str, times: &mut [Duration]) {
    let total: Duration = times.iter().sum();
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    let lines = (times.len() * LINES) as f64 / total.as_secs_f64();
    println!("{name:20} {lines:9.0} lines/s, p50 {:.3} ms, p99 {:.3} ms", at(50), at(99));
}

fn large(directory: &Path, sessions: u32) -> Result<()> {
    let mut opened = footbridge_store_sqlite::open(directory)?;
    let mut writer = Writer::new(&mut opened.store)?;
    for n in 1..=sessions {
        let link = writer.session(n)?;
        writer.append(n, link, 0, 100)?;
    }
    drop(opened);
    let began = Instant::now();
    drop(footbridge_store_sqlite::open(directory)?);
    println!("{sessions} sessions of 100 kB: opened in {:?}", began.elapsed());
    let program = build()?;
    let place = directory.to_str().ok_or("a path that is text")?;
    let args = ["relay", "--listen", "127.0.0.1:0", "--data", place];
    let began = Instant::now();
    let relay = Running::start(&program, directory, &args)?;
    println!("the program is ready in {:?}", began.elapsed());
    std::thread::sleep(Duration::from_secs(1));
    println!("idle memory: {} kB", relay.memory_kib()?);
    relay.stop()
}

/// Writes into a store, as a relay does.
struct Writer<'a> {
    store: &'a mut dyn Store,
}

impl<'a> Writer<'a> {
    fn new(store: &'a mut dyn Store) -> Result<Self> {
        let mut writer = Self { store };
        let registration = Box::new(Registration {
            machine_name: "m".to_owned(),
            directory: "/".to_owned(),
            branch: None,
            git_repo_url: None,
            max_sessions: 1,
            metadata: Metadata::default(),
            environment_id: None,
            worker_id: None,
            worker_run: None,
        });
        let (owner, id) = (owner(), environment()?);
        writer.apply(StoreOp::RegisterEnvironment { owner, id, registration, device: None })?;
        Ok(writer)
    }

    fn apply(&mut self, op: StoreOp) -> Result<Answer> {
        let policy =
            StorePolicy { max_sessions: 1 << 20, max_queued: 1 << 20, ..StorePolicy::default() };
        let op = Box::new(op);
        let transaction =
            Transaction { at: RelayTime::default(), policy: policy.into(), op, by: None };
        let outcome = self.store.commit(&[transaction]).pop().ok_or("no outcome")?;
        Ok(outcome?.answer.map_err(|denied| format!("denied: {denied:?}"))?)
    }

    /// Makes a session; returns the number of its link.
    fn session(&mut self, n: u32) -> Result<u64> {
        let work = WorkId::new(&format!("work_{n}"))?;
        let (owner, environment, id, title, key) =
            (owner(), environment()?, session(n)?, None, None);
        let options = None;
        self.apply(StoreOp::CreateSession { owner, environment, id, work, title, key, options })?;
        let attach = StoreOp::AttachLink { session: session(n)?, fence: 0, agent_run: None };
        match self.apply(attach)? {
            Answer::Attached { link, .. } => Ok(link),
            other => Err(format!("{other:?}").into()),
        }
    }

    fn append(&mut self, n: u32, link: u64, before: usize, count: usize) -> Result<()> {
        let text = format!(r#"{{"type":"x","text":"{}"}}"#, "x".repeat(LINE - 24));
        let line = Text::from(text);
        let lines = vec![Line { origin: Origin::Agent, line }; count];
        let (session, first) = (session(n)?, before as u64 + 1);
        self.apply(StoreOp::Append { session, link, first, lines })?;
        Ok(())
    }
}

fn owner() -> AccountId {
    AccountId("owner".to_owned())
}

fn environment() -> Result<EnvironmentId> {
    Ok(EnvironmentId::new("env_1")?)
}

fn session(n: u32) -> Result<SessionId> {
    Ok(SessionId::new(&format!("session_{n}"))?)
}
