//! End to end: an agent's messages reach a viewer through the real program, in order, none missing
//! and none twice. Prints how fast, and how much memory relay and worker needed, with a relay that
//! keeps everything in memory and one that keeps it on disk, in turns; then how long it takes until
//! a person's message is accepted, against a bare append and sync on the same disk.
//!
//! ```text
//! this program as an agent ──▶ footbridge work ──▶ footbridge relay ──▶ this program as a viewer
//! ```
//!
//! `throughput [MESSAGES]`, 10,000 by default, of 1 kB each.

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use footbridge_benches::running::{Result, Running, api, build, client, post, subscribe};
use serde_json::{Value, json};
use tungstenite::Message;

const MESSAGE_BYTES: usize = 1_000;
/// How often each kind of relay has its turn.
const TURNS: usize = 3;
/// A person's messages whose acceptance is measured.
const ACCEPTED: usize = 500;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let count = |at: usize| args.get(at).map_or(Ok(10_000), |text| text.parse::<u64>());
    if args.first().is_some_and(|arg| arg == "agent") {
        agent(count(1)?)
    } else {
        let messages = count(0)?;
        let program = build()?;
        for _ in 0..TURNS {
            let in_memory = flood(&program, messages, &["--in-memory"])?;
            let on_disk = flood(&program, messages, &[])?;
            println!("on disk {:.2} × as fast as in memory\n", on_disk / in_memory);
        }
        accepted(&program)
    }
}

/// The agent: floods as soon as it gets a message.
fn agent(messages: u64) -> Result<()> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let line: Value = serde_json::from_str(&line?)?;
        if line["type"] != "user" {
            continue;
        }
        for n in 0..messages {
            let head = format!(r#"{{"type":"flood","n":{n},"text":""#);
            let text = "x".repeat(MESSAGE_BYTES.saturating_sub(head.len() + 2));
            writeln!(stdout, "{head}{text}\"}}")?;
        }
        stdout.flush()?;
    }
    Ok(())
}

/// Returns how many messages arrived in a second.
fn flood(program: &Path, messages: u64, storage: &[&str]) -> Result<f64> {
    let own = std::env::current_exe()?;
    let directory = tempfile::tempdir()?;
    let options = [&["relay", "--listen", "127.0.0.1:0"], storage].concat();
    let relay = Running::start(program, directory.path(), &options)?;
    let agent = format!("'{}' agent {messages}", own.display());
    let url = relay.ready("url")?;
    let worker =
        Running::start(program, directory.path(), &["work", "--relay", url, "--agent", &agent])?;

    let session =
        api(url, "/v1/sessions", &json!({"environment_id": worker.ready("environment_id")?}))?;
    let session = session["id"].as_str().ok_or("a session without an id")?;
    let mut viewer = subscribe(relay.ready("listen")?, session)?;
    let user = json!({"type": "user", "message": {"role": "user", "content": "go"}});
    let began = Instant::now();
    api(url, &format!("/v1/sessions/{session}/messages"), &json!({ "messages": [user] }))?;
    let mut seen = Seen::default();
    while seen.messages < messages {
        if let Message::Text(text) = viewer.read()? {
            seen.take(&serde_json::from_str(&text)?)?;
        }
    }
    let took = began.elapsed().as_secs_f64();

    let per_second = |amount: f64| amount / took;
    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    let count = messages as f64;
    let kind = if storage.is_empty() { "on disk" } else { "in memory" };
    println!(
        "{kind}: {messages} messages of {MESSAGE_BYTES} bytes in order, none missing or twice"
    );
    println!(
        "{took:.2} s, {:.0} messages/s, {:.1} MB/s",
        per_second(count),
        per_second(count / 1e3)
    );
    println!(
        "peak memory: relay {} kB, worker {} kB",
        relay.peak_memory_kib()?,
        worker.peak_memory_kib()?
    );
    worker.stop()?;
    relay.stop()?;
    Ok(per_second(count))
}

/// How long a person's message takes until it is accepted.
fn accepted(program: &Path) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let relay = Running::start(program, directory.path(), &["relay", "--listen", "127.0.0.1:0"])?;
    let url = relay.ready("url")?;
    let options = ["work", "--relay", url, "--agent", "cat"];
    let worker = Running::start(program, directory.path(), &options)?;
    let environment = json!({"environment_id": worker.ready("environment_id")?});
    let session = api(url, "/v1/sessions", &environment)?;
    let session = session["id"].as_str().ok_or("a session without an id")?;
    let path = format!("/v1/sessions/{session}/messages");
    let mut bare = File::create(directory.path().join("bare"))?;
    let bytes = [b'x'; MESSAGE_BYTES];
    let text = "x".repeat(MESSAGE_BYTES);
    let user = json!({"type": "user", "message": {"role": "user", "content": text}});
    let client = client();
    let (mut posts, mut syncs) = (Vec::new(), Vec::new());
    for _ in 0..ACCEPTED {
        let began = Instant::now();
        bare.write_all(&bytes)?;
        bare.sync_data()?;
        syncs.push(began.elapsed());
        let began = Instant::now();
        post(&client, url, &path, &json!({ "messages": [user] }))?;
        posts.push(began.elapsed());
    }
    println!("a person's message of {MESSAGE_BYTES} bytes");
    report("append + fdatasync", &mut syncs);
    report("accepted", &mut posts);
    worker.stop()?;
    relay.stop()
}

fn report(name: &str, times: &mut [Duration]) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    println!("{name:20} p50 {:.3} ms, p99 {:.3} ms", at(50), at(99));
}

/// What the viewer has seen so far.
#[derive(Debug, Default)]
struct Seen {
    seq: u64,
    messages: u64,
}

impl Seen {
    fn take(&mut self, told: &Value) -> Result<()> {
        match told["type"].as_str() {
            Some("gap") => return Err(format!("lost in a gap: {told}").into()),
            Some("event") => {}
            _ => return Ok(()),
        }
        if told["seq"] != self.seq + 1 {
            return Err(format!("after event {} came {}", self.seq, told["seq"]).into());
        }
        self.seq += 1;
        let message = &told["message"];
        if message["type"] == "flood" {
            if message["n"] != self.messages {
                return Err(
                    format!("instead of message {} came {}", self.messages, message["n"]).into()
                );
            }
            self.messages += 1;
        }
        Ok(())
    }
}
