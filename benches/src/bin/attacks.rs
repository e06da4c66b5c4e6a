//! What a session notices while somebody attacks its relay: how long a message takes to the agent and
//! back, before and meanwhile, and what the relay's memory grows to.
//!
//! `attacks [ROUNDS [PROGRAM]]`, 500 messages each by default. Attackers come from another address of
//! this machine, and their processes wait for everybody else's: they would have a machine of their own.
//! Without a `footbridge` to measure, the current one is built.

use std::io::{BufRead, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use footbridge_benches::attacks::{ALL, Attack, Target};
use footbridge_benches::running::{Result, Running, build, client, post, subscribe};
use rustix::process::nice;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// How long an attack goes on before anything is measured.
const BEFORE: Duration = Duration::from_secs(2);
/// When an answer is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// The size of a large line in a log, in bytes.
const LARGE: usize = 6 << 20;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["agent"] => agent(),
        ["attack", name, listen, session] => {
            nice(19)?;
            let attack = Attack::named(name).ok_or("no such attack")?;
            attack.go_on(Target { listen: listen.to_owned(), session: session.to_owned() })
        }
        _ => {
            let rounds = words.first().map_or(Ok(500), |text| text.parse())?;
            measure(rounds, words.get(1).map(PathBuf::from))
        }
    }
}

/// The agent: says what it has read, or a line as long as that asks for.
fn agent() -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let told: Value = serde_json::from_str(&line?)?;
        let Some(content) = told["message"]["content"].as_str() else { continue };
        let pad = " ".repeat(if content.starts_with("large") { LARGE } else { 0 });
        writeln!(stdout, r#"{{"type":"read","of":{content:?},"pad":"{pad}"}}"#)?;
        stdout.flush()?;
    }
    Ok(())
}

/// A relay, its worker, and a person who talks to a session.
struct Scene {
    relay: Running,
    worker: Running,
    client: ureq::Agent,
    url: String,
    environment: String,
    session: String,
    viewer: WebSocket<TcpStream>,
}

impl Scene {
    fn start(program: &Path, home: &Path) -> Result<Self> {
        let relay = Running::start(program, home, &["relay", "--listen", "127.0.0.1:0"])?;
        let url = relay.ready("url")?.to_owned();
        let agent = format!("'{}' agent", std::env::current_exe()?.display());
        let options = ["work", "--relay", &url, "--agent", &agent];
        let worker = Running::start(program, home, &options)?;
        let environment = worker.ready("environment_id")?.to_owned();
        let client = client();
        let session = new_session(&client, &url, &environment)?;
        let viewer = subscribe(relay.ready("listen")?, &session)?;
        Ok(Self { relay, worker, client, url, environment, session, viewer })
    }

    /// What an attacker with the person's credential looks at: two lines of 6 MB.
    fn large_session(&self) -> Result<String> {
        let session = new_session(&self.client, &self.url, &self.environment)?;
        let mut viewer = subscribe(self.relay.ready("listen")?, &session)?;
        for content in ["large 1", "large 2"] {
            say(&self.client, &self.url, &session, content)?;
            read(&mut viewer, content)?;
        }
        Ok(session)
    }

    /// How long it takes until a message's answer is there, for each of them.
    fn echoes(&mut self, what: &str, rounds: usize) -> Result<Times> {
        let mut times = Vec::with_capacity(rounds);
        for round in 0..rounds {
            let content = format!("{what} {round}");
            let began = Instant::now();
            say(&self.client, &self.url, &self.session, &content)?;
            read(&mut self.viewer, &content)?;
            times.push(began.elapsed());
        }
        times.sort_unstable();
        Ok(Times(times))
    }
}

fn new_session(client: &ureq::Agent, url: &str, environment: &str) -> Result<String> {
    let made = post(client, url, "/v1/sessions", &json!({ "environment_id": environment }))?;
    Ok(made["id"].as_str().ok_or("a session without an id")?.to_owned())
}

fn say(client: &ureq::Agent, url: &str, session: &str, content: &str) -> Result<()> {
    let user = json!({"type": "user", "message": {"role": "user", "content": content}});
    let path = format!("/v1/sessions/{session}/messages");
    post(client, url, &path, &json!({ "messages": [user] })).map(drop)
}

fn read(viewer: &mut WebSocket<TcpStream>, content: &str) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let Message::Text(text) = viewer.read()? else { continue };
        if text.contains(r#""type":"read""#) {
            let told: Value = serde_json::from_str(&text)?;
            if told["message"]["of"] == content {
                return Ok(());
            }
        }
    }
    Err(format!("no answer to {content:?} within {PATIENCE:?}").into())
}

/// In ascending order.
struct Times(Vec<Duration>);

impl Times {
    fn at(&self, share: f64) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * share) as usize).copied().unwrap_or_default()
    }
}

/// Attackers, until it is dropped.
struct Attackers(Child);

impl Attackers {
    fn start(attack: &Attack, listen: &str, session: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        Ok(Self(command.args(["attack", attack.name, listen, session]).spawn()?))
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn measure(rounds: usize, program: Option<PathBuf>) -> Result<()> {
    let program = program.map_or_else(build, Ok)?;
    println!("A message to the agent and its answer, {rounds} each\n");
    println!(
        "| | p50 quiet | p50 | ratio | p99 quiet | p99 | ratio | relay's memory before | at most |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for attack in &ALL {
        let home = tempfile::tempdir()?;
        let mut scene = Scene::start(&program, home.path())?;
        let large = scene.large_session()?;
        scene.echoes("before all", 10)?;
        let quiet = scene.echoes("quiet", rounds)?;
        let before = scene.relay.memory_kib()?;
        let attackers = Attackers::start(attack, scene.relay.ready("listen")?, &large)?;
        std::thread::sleep(BEFORE);
        let meanwhile = scene.echoes("meanwhile", rounds)?;
        let most = scene.relay.peak_memory_kib()?;
        drop(attackers);
        let cells = [0.5, 0.99].map(|share| {
            let (quiet, now) = (quiet.at(share), meanwhile.at(share));
            let ratio = now.as_secs_f64() / quiet.as_secs_f64();
            format!("{quiet:.1?} | {now:.1?} | {ratio:.1}")
        });
        let [before, most] = [before, most].map(|kib| format!("{:.1} MB", kib as f64 / 976.6));
        println!("| {} | {} | {before} | {most} |", attack.what, cells.join(" | "));
        scene.worker.stop()?;
        scene.relay.stop()?;
    }
    Ok(())
}
