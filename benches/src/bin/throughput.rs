//! End to end: an agent's messages reach a viewer through the real program, in order, none missing
//! and none twice. Prints how fast, and how much memory relay and worker needed.
//!
//! ```text
//! this program as an agent ──▶ footbridge work ──▶ footbridge relay ──▶ this program as a viewer
//! ```
//!
//! `throughput [MESSAGES]`, 10,000 by default, of 1 kB each.

use std::io::{self, BufRead, Write};
use std::time::Instant;

use footbridge_benches::running::{Result, Running, api, build, subscribe};
use serde_json::{Value, json};
use tungstenite::Message;

const MESSAGE_BYTES: usize = 1_000;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let count = |at: usize| args.get(at).map_or(Ok(10_000), |text| text.parse::<u64>());
    if args.first().is_some_and(|arg| arg == "agent") {
        agent(count(1)?)
    } else {
        measure(count(0)?)
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

fn measure(messages: u64) -> Result<()> {
    let own = std::env::current_exe()?;
    let program = build()?;
    let directory = tempfile::tempdir()?;
    let relay = Running::start(&program, directory.path(), &["relay", "--listen", "127.0.0.1:0"])?;
    let agent = format!("'{}' agent {messages}", own.display());
    let url = relay.ready("url")?;
    let worker =
        Running::start(&program, directory.path(), &["work", "--relay", url, "--agent", &agent])?;

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
    println!("{messages} messages of {MESSAGE_BYTES} bytes in order, none missing, none twice");
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
    relay.stop()
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
