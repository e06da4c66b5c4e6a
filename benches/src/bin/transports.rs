//! Version 2 of a session's way to its relay, streams of events and batches, beside version 1, a
//! WebSocket: how long a message takes to the agent and an answer back, and how many lines a second
//! come through; alternately in one run.
//!
//! `transports [ROUNDS [LINES [PROGRAM]]]`, 500 messages and 50,000 lines by default. The agent says
//! when it has read a message; all processes of a computer share the clock that it reads. Without a
//! `footbridge` to measure, the current one is built.

use std::io::{BufRead, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use footbridge_benches::running::{Result, Running, build, client, post, subscribe};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

const TRANSPORTS: [&str; 2] = ["v1", "v2"];
/// Floods each way, of which the best counts.
const FLOODS: usize = 3;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "agent") {
        return agent();
    }
    let number = |at: usize, usual: usize| args.get(at).map_or(Ok(usual), |text| text.parse());
    measure(number(0, 500)?, number(1, 50_000)?, args.get(2).map(PathBuf::from))
}

/// The agent: says when it has read a message, or as many lines as that asks for.
fn agent() -> Result<()> {
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let read = nanos()?;
        let told: Value = serde_json::from_str(&line?)?;
        let Some(content) = told["message"]["content"].as_str() else { continue };
        let lines = content.strip_prefix("flood ").and_then(|lines| lines.parse::<u64>().ok());
        for n in 0..lines.unwrap_or(0) {
            writeln!(stdout, r#"{{"type":"line","n":{n},"pad":"{:200}"}}"#, "x")?;
        }
        writeln!(stdout, r#"{{"type":"read","nanos":{read},"of":{content:?}}}"#)?;
        stdout.flush()?;
    }
    Ok(())
}

fn nanos() -> Result<u64> {
    let now = clock_gettime(ClockId::Monotonic);
    Ok(u64::try_from(now.tv_sec)? * 1_000_000_000 + u64::try_from(now.tv_nsec)?)
}

/// One session, with the worker that runs it and a viewer.
struct Way {
    worker: Running,
    client: ureq::Agent,
    relay: String,
    session: String,
    viewer: WebSocket<TcpStream>,
    to_agent: Vec<u64>,
    from_agent: Vec<u64>,
    whole: Vec<u64>,
    fastest: Duration,
}

impl Way {
    fn start(program: &Path, home: &Path, relay: &Running, transport: &str) -> Result<Self> {
        let url = relay.ready("url")?.to_owned();
        let own = std::env::current_exe()?;
        let agent = format!("'{}' agent", own.display());
        let directory = home.join(transport);
        std::fs::create_dir(&directory)?;
        let options = ["work", "--relay", &url, "--agent", &agent, "--transport", transport];
        let worker = Running::start(program, &directory, &options)?;
        let client = client();
        let environment = json!({ "environment_id": worker.ready("environment_id")? });
        let made = post(&client, &url, "/v1/sessions", &environment)?;
        let session = made["id"].as_str().ok_or("a session without an id")?.to_owned();
        let viewer = subscribe(relay.ready("listen")?, &session)?;
        let (to_agent, from_agent, whole) = Default::default();
        let fastest = Duration::MAX;
        Ok(Self {
            worker,
            client,
            relay: url,
            session,
            viewer,
            to_agent,
            from_agent,
            whole,
            fastest,
        })
    }

    fn say(&self, content: &str) -> Result<()> {
        let path = format!("/v1/sessions/{}/messages", self.session);
        let user = json!({"type": "user", "message": {"role": "user", "content": content}});
        post(&self.client, &self.relay, &path, &json!({ "messages": [user] }))?;
        Ok(())
    }

    /// Waits until the agent says that it has read this; when that was, and how many lines came before.
    fn read(&mut self, content: &str) -> Result<(u64, usize)> {
        let mut lines = 0;
        loop {
            let Message::Text(text) = self.viewer.read()? else { continue };
            if text.contains(r#""type":"line""#) {
                lines += 1;
            } else if text.contains(r#""type":"read""#) {
                let told: Value = serde_json::from_str(&text)?;
                if told["message"]["of"] == content {
                    let read = told["message"]["nanos"].as_u64().ok_or("no instant")?;
                    return Ok((read, lines));
                }
            }
        }
    }

    fn echo(&mut self, round: usize) -> Result<()> {
        let content = format!("round {round}");
        let asked = nanos()?;
        self.say(&content)?;
        let (read, _) = self.read(&content)?;
        let came = nanos()?;
        self.to_agent.push(read.saturating_sub(asked));
        self.from_agent.push(came.saturating_sub(read));
        self.whole.push(came - asked);
        Ok(())
    }

    fn flood(&mut self, count: usize) -> Result<()> {
        let content = format!("flood {count}");
        let began = Instant::now();
        self.say(&content)?;
        let (_, lines) = self.read(&content)?;
        if lines != count {
            return Err(format!("{lines} of {count} lines came").into());
        }
        self.fastest = self.fastest.min(began.elapsed());
        Ok(())
    }
}

fn measure(rounds: usize, lines: usize, program: Option<PathBuf>) -> Result<()> {
    let program = program.map_or_else(build, Ok)?;
    let home = tempfile::tempdir()?;
    let relay = Running::start(&program, home.path(), &["relay", "--listen", "127.0.0.1:0"])?;
    let start = |transport| Way::start(&program, home.path(), &relay, transport);
    let [mut v1, mut v2] = [start(TRANSPORTS[0])?, start(TRANSPORTS[1])?];
    // What starts is not measured.
    for way in [&mut v1, &mut v2] {
        way.echo(0)?;
        (way.to_agent, way.from_agent, way.whole) = Default::default();
    }
    for round in 1..=rounds {
        v1.echo(round)?;
        v2.echo(round)?;
    }
    for _ in 0..FLOODS {
        v1.flood(lines)?;
        v2.flood(lines)?;
    }
    println!("{rounds} messages, medians; {lines} lines of 230 bytes, the best of {FLOODS}\n");
    println!("| | version 1 | version 2 | ratio |");
    println!("| --- | ---: | ---: | ---: |");
    let row = |what: &str, one: &mut [u64], two: &mut [u64]| {
        let (one, two) = (median(one), median(two));
        let ratio = two.as_secs_f64() / one.as_secs_f64();
        println!("| {what} | {one:.0?} | {two:.0?} | {ratio:.2} |");
    };
    row("a message to the agent", &mut v1.to_agent, &mut v2.to_agent);
    row("an answer from the agent", &mut v1.from_agent, &mut v2.from_agent);
    row("there and back", &mut v1.whole, &mut v2.whole);
    let rate = |way: &Way| lines as f64 / way.fastest.as_secs_f64();
    let (one, two) = (rate(&v1), rate(&v2));
    println!("| lines a second | {one:.0} | {two:.0} | {:.2} |", one / two);
    v1.worker.stop()?;
    v2.worker.stop()?;
    relay.stop()
}

fn median(nanos: &mut [u64]) -> Duration {
    nanos.sort_unstable();
    Duration::from_nanos(nanos.get(nanos.len() / 2).copied().unwrap_or_default())
}
