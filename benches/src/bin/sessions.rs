//! Many sessions at once: started together, each chattering in both directions for a while, every
//! line counted at both ends. Prints the totals, and what relay and worker needed for them.
//!
//! `sessions [COUNT [SECONDS]]`, 32 sessions for 60 seconds by default.

use std::io::{BufRead, Write};
use std::thread;
use std::time::{Duration, Instant};

use footbridge_benches::running::{Result, Running, api, build, subscribe};
use serde_json::{Value, json};
use tungstenite::Message;

/// A viewer's pause between two messages to its agent.
const PAUSE: Duration = Duration::from_millis(50);
/// Lines in an agent's answer.
const ANSWERS: u64 = 4;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "agent") {
        return agent();
    }
    let number = |at: usize, default: u64| args.get(at).map_or(Ok(default), |text| text.parse());
    measure(number(0, 32)?, Duration::from_secs(number(1, 60)?))
}

/// The agent: answers each message with some lines that say which one it was.
fn agent() -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let mut heard = 0_u64;
    for line in std::io::stdin().lock().lines() {
        let told: Value = serde_json::from_str(&line?)?;
        if told["type"] != "user" {
            continue;
        }
        for part in 0..ANSWERS {
            let said = json!({"type": "answer", "to": told["message"]["content"], "heard": heard, "part": part});
            writeln!(stdout, "{said}")?;
        }
        stdout.flush()?;
        heard += 1;
    }
    Ok(())
}

fn measure(count: u64, length: Duration) -> Result<()> {
    let own = std::env::current_exe()?;
    let program = build()?;
    let directory = tempfile::tempdir()?;
    let relay = Running::start(&program, directory.path(), &["relay", "--listen", "127.0.0.1:0"])?;
    let url = relay.ready("url")?.to_owned();
    let listen = relay.ready("listen")?.to_owned();
    let agent = format!("'{}' agent", own.display());
    let sessions = count.to_string();
    let options = ["work", "--relay", &url, "--agent", &agent, "--max-sessions", &sessions];
    let worker = Running::start(&program, directory.path(), &options)?;
    let environment = worker.ready("environment_id")?.to_owned();
    let idle = worker.peak_memory_kib()?;

    let until = Instant::now() + length;
    let viewers: Vec<_> = (0..count)
        .map(|_| {
            let (url, listen, environment) = (url.clone(), listen.clone(), environment.clone());
            thread::spawn(move || {
                chat(&url, &listen, &environment, until).map_err(|error| error.to_string())
            })
        })
        .collect();
    let mut asked = 0;
    for viewer in viewers {
        asked += viewer.join().map_err(|_| "a viewer panicked")??;
    }
    let (relay_peak, worker_peak) = (relay.peak_memory_kib()?, worker.peak_memory_kib()?);
    println!("{count} sessions at once for {} s", length.as_secs());
    println!(
        "{asked} messages to agents, {} lines from them: none missing, none twice, in order",
        asked * ANSWERS
    );
    println!("peak memory: relay {relay_peak} kB, worker {worker_peak} kB");
    println!("of the worker's, per session: {} kB", worker_peak.saturating_sub(idle) / count);
    worker.stop()?;
    relay.stop()?;
    let left = left_of(&own.display().to_string())?;
    println!("agents left after the end: {left}");
    if left == 0 { Ok(()) } else { Err("processes were left".into()) }
}

/// One session, from its start until the time is over; returns how many messages were answered.
fn chat(url: &str, listen: &str, environment: &str, until: Instant) -> Result<u64> {
    let session = api(url, "/v1/sessions", &json!({ "environment_id": environment }))?;
    let session = session["id"].as_str().ok_or("a session without an id")?;
    let path = format!("/v1/sessions/{session}/messages");
    let mut viewer = subscribe(listen, session)?;
    let mut asked = 0_u64;
    let mut seq = 0_u64;
    while Instant::now() < until {
        let content = asked.to_string();
        let user = json!({"type": "user", "message": {"role": "user", "content": content}});
        api(url, &path, &json!({ "messages": [user] }))?;
        for part in 0..ANSWERS {
            let answer = next_answer(&mut viewer, &mut seq)?;
            let is_right = answer["to"] == content.as_str()
                && answer["heard"] == asked
                && answer["part"] == part;
            if !is_right {
                return Err(format!("answer {part} to {asked} came as {answer}").into());
            }
        }
        asked += 1;
        thread::sleep(PAUSE);
    }
    Ok(asked)
}

fn next_answer(
    viewer: &mut tungstenite::WebSocket<std::net::TcpStream>,
    seq: &mut u64,
) -> Result<Value> {
    loop {
        let Message::Text(text) = viewer.read()? else { continue };
        let mut told: Value = serde_json::from_str(&text)?;
        if told["type"] == "event" {
            if told["seq"] != *seq + 1 {
                return Err(format!("after event {seq} came {}", told["seq"]).into());
            }
            *seq += 1;
            if told["message"]["type"] == "answer" {
                return Ok(told["message"].take());
            }
        }
    }
}

/// How many of this benchmark's agents are still running.
fn left_of(own: &str) -> Result<usize> {
    let mut left = 0;
    for entry in std::fs::read_dir("/proc")? {
        let line = std::fs::read(entry?.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        left += usize::from(words.starts_with(&[own.as_bytes(), b"agent"]));
    }
    Ok(left)
}
