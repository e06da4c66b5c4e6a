//! How long it takes from *New session* at the relay to the agent's first byte, compared with
//! starting the same program by hand, measured alternately in one run.
//!
//! `dispatch [ROUNDS]`, 200 by default. The agent records the instant at which it writes its first
//! byte; all processes of a computer share the clock that it reads.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use footbridge_benches::running::{Result, Running, api, build, subscribe};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tungstenite::Message;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("agent") => agent(),
        Some(rounds) => measure(rounds.parse()?),
        None => measure(200),
    }
}

/// The agent: prints when it began to write, and ends with its input.
fn agent() -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, r#"{{"type":"began","nanos":{}}}"#, nanos()?)?;
    stdout.flush()?;
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    Ok(())
}

fn nanos() -> Result<u64> {
    let now = clock_gettime(ClockId::Monotonic);
    Ok(u64::try_from(now.tv_sec)? * 1_000_000_000 + u64::try_from(now.tv_nsec)?)
}

fn measure(rounds: usize) -> Result<()> {
    let own = std::env::current_exe()?;
    let program = build()?;
    let directory = tempfile::tempdir()?;
    let relay = Running::start(&program, directory.path(), &["relay", "--listen", "127.0.0.1:0"])?;
    let url = relay.ready("url")?;
    let agent = format!("'{}' agent", own.display());
    let options = ["work", "--relay", url, "--agent", &agent, "--max-sessions", "1024"];
    let worker = Running::start(&program, directory.path(), &options)?;
    let environment = json!({ "environment_id": worker.ready("environment_id")? });

    let (mut by_hand, mut dispatched) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        by_hand.push(start_by_hand(&own)?);
        let asked = nanos()?;
        let session = api(url, "/v1/sessions", &environment)?;
        let session = session["id"].as_str().ok_or("a session without an id")?;
        dispatched.push(began(relay.ready("listen")?, session)?.saturating_sub(asked));
        api(url, &format!("/v1/sessions/{session}/stop"), &json!({}))?;
    }
    worker.stop()?;
    relay.stop()?;

    let (hand, whole) = (median(&mut by_hand), median(&mut dispatched));
    println!("{rounds} rounds, medians: from the request to the agent's first byte");
    println!("started by hand: {hand:?}");
    println!("by New session at the relay: {whole:?}");
    println!("ratio: {:.2}", whole.as_secs_f64() / hand.as_secs_f64());
    Ok(())
}

/// Starts the agent with the pipes that a worker gives it; returns the time until its first byte.
fn start_by_hand(own: &std::path::Path) -> Result<u64> {
    let asked = nanos()?;
    let mut child = Command::new(own)
        .arg("agent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no pipe")?).read_line(&mut line)?;
    drop(child.stdin.take());
    child.wait()?;
    let told: Value = serde_json::from_str(&line)?;
    Ok(told["nanos"].as_u64().ok_or("no instant")?.saturating_sub(asked))
}

/// The instant of a session's agent's first byte.
fn began(listen: &str, session: &str) -> Result<u64> {
    let mut viewer = subscribe(listen, session)?;
    loop {
        if let Message::Text(text) = viewer.read()? {
            let told: Value = serde_json::from_str(&text)?;
            if told["message"]["type"] == "began" {
                return Ok(told["message"]["nanos"].as_u64().ok_or("no instant")?);
            }
        }
    }
}

fn median(nanos: &mut [u64]) -> Duration {
    nanos.sort_unstable();
    Duration::from_nanos(nanos.get(nanos.len() / 2).copied().unwrap_or_default())
}
