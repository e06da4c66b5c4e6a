//! From end to end: messages of an agent reach a viewer by the real program, in order, none
//! missing and none twice. Prints how fast, and how much memory relay and worker took.
//!
//! ```text
//! this program as an agent ──▶ footbridge work ──▶ footbridge relay ──▶ this program as a viewer
//! ```
//!
//! `throughput [MESSAGES]`, 10,000 unless told otherwise, of 1 kB each.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, client};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TOKEN: &str = "the-token-of-this-benchmark";
const MESSAGE_BYTES: usize = 1_000;
/// A viewer that has heard nothing for this long has lost something.
const SILENCE: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let count = |at: usize| args.get(at).map_or(Ok(10_000), |text| text.parse::<u64>());
    if args.first().is_some_and(|arg| arg == "agent") {
        agent(count(1)?)
    } else {
        measure(count(0)?)
    }
}

/// The agent: floods as soon as it is spoken to.
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
    let program = own.with_file_name("footbridge");
    build(&own)?;
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
    println!("peak memory: relay {}, worker {}", relay.peak_memory()?, worker.peak_memory()?);
    worker.stop()?;
    relay.stop()
}

/// The program as it is now, beside this one.
fn build(own: &Path) -> Result<()> {
    let target = own.ancestors().nth(2).ok_or("this program is not where cargo puts it")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let args = ["build", "--release", "--quiet", "-p", "footbridge-smol", "--bin", "footbridge"];
    let status = Command::new(cargo).args(args).arg("--target-dir").arg(target).status()?;
    if status.success() { Ok(()) } else { Err("footbridge could not be built".into()) }
}

fn api(base: &str, path: &str, body: &Value) -> Result<Value> {
    let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
    let request = agent.post(format!("{base}{path}"));
    let request = request.header("authorization", format!("Bearer {TOKEN}"));
    let mut answer = request.header("content-type", "application/json").send(body.to_string())?;
    Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?)
}

fn subscribe(listen: &str, session: &str) -> Result<tungstenite::WebSocket<std::net::TcpStream>> {
    let tcp = std::net::TcpStream::connect(listen)?;
    tcp.set_read_timeout(Some(SILENCE))?;
    let url = format!("ws://{listen}/v1/sessions/{session}/events/ws?after=0");
    let mut request = url.into_client_request()?;
    let protocols = format!("footbridge.viewer.v1, footbridge.bearer.{TOKEN}");
    let protocols = HeaderValue::from_str(&protocols)?;
    request.headers_mut().insert("sec-websocket-protocol", protocols);
    let (socket, _) = client(request, tcp)?;
    Ok(socket)
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
            Some("gap") => return Err(format!("lost by a gap: {told}").into()),
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

/// One process of the program.
struct Running {
    child: Child,
    ready: Value,
}

impl Running {
    fn start(program: &Path, directory: &Path, args: &[&str]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(args).args(["--json", "--quiet"]).current_dir(directory);
        command.env("FOOTBRIDGE_TOKEN", TOKEN).env("XDG_STATE_HOME", directory);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut running = Self { child, ready: Value::Null };
        let mut line = String::new();
        let stdout = running.child.stdout.as_mut().ok_or("no pipe")?;
        BufReader::new(stdout).read_line(&mut line)?;
        running.ready = serde_json::from_str(&line)
            .map_err(|_| format!("{args:?} did not become ready, but printed {line:?}"))?;
        Ok(running)
    }

    fn ready(&self, field: &str) -> Result<&str> {
        let value = self.ready[field].as_str();
        value.ok_or_else(|| format!("the ready line has no {field}: {}", self.ready).into())
    }

    /// The most memory that it has had resident.
    fn peak_memory(&self) -> Result<String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        Ok(peak.ok_or("no VmHWM")?.trim().to_owned())
    }

    fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("it ended with {status}").into()) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
