//! The real program, running: started, used and stopped as someone's scripts would.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tungstenite::WebSocket;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;

/// The error of a benchmark that could not be run.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The access token of the user of every relay here.
pub const TOKEN: &str = "the-token-of-this-benchmark";
/// A viewer that has received nothing for this long has lost something.
const SILENCE: Duration = Duration::from_secs(60);

/// Builds the current program next to this one; returns its path.
pub fn build() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(2).ok_or("this program is not where cargo puts it")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let args = ["build", "--release", "--quiet", "-p", "footbridge-smol", "--bin", "footbridge"];
    let status = Command::new(cargo).args(args).arg("--target-dir").arg(target).status()?;
    if !status.success() {
        return Err("could not build footbridge".into());
    }
    Ok(own.with_file_name("footbridge"))
}

/// Posts to the relay at `base`, as its user.
pub fn api(base: &str, path: &str, body: &Value) -> Result<Value> {
    post(&client(), base, path, body)
}

/// A client that keeps its connection.
pub fn client() -> ureq::Agent {
    ureq::Agent::config_builder().proxy(None).build().into()
}

/// The same through this client.
pub fn post(agent: &ureq::Agent, base: &str, path: &str, body: &Value) -> Result<Value> {
    let request = agent.post(format!("{base}{path}"));
    let request = request.header("authorization", format!("Bearer {TOKEN}"));
    let mut answer = request.header("content-type", "application/json").send(body.to_string())?;
    Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?)
}

/// A viewer of a session, from the beginning of its log.
pub fn subscribe(listen: &str, session: &str) -> Result<WebSocket<TcpStream>> {
    let tcp = TcpStream::connect(listen)?;
    tcp.set_read_timeout(Some(SILENCE))?;
    let url = format!("ws://{listen}/v1/sessions/{session}/events/ws?after=0");
    let mut request = url.into_client_request()?;
    let protocols = format!("footbridge.viewer.v1, footbridge.bearer.{TOKEN}");
    let protocols = HeaderValue::from_str(&protocols)?;
    request.headers_mut().insert("sec-websocket-protocol", protocols);
    let (socket, _) = tungstenite::client(request, tcp)?;
    Ok(socket)
}

/// One process of the program.
#[derive(Debug)]
pub struct Running {
    child: Child,
    ready: Value,
}

impl Running {
    /// Starts it in `directory`, and waits until it reports that it is ready.
    pub fn start(program: &Path, directory: &Path, args: &[&str]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(args).args(["--json", "--quiet"]).current_dir(directory);
        command.env("FOOTBRIDGE_TOKEN", TOKEN).env("XDG_STATE_HOME", directory);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut running = Self { child, ready: Value::Null };
        let mut line = String::new();
        let stdout = running.child.stdout.as_mut().ok_or("no pipe")?;
        BufReader::new(stdout).read_line(&mut line)?;
        running.ready = serde_json::from_str(&line)
            .map_err(|_| format!("{args:?} never became ready, but printed {line:?}"))?;
        Ok(running)
    }

    /// A field of its ready line.
    pub fn ready(&self, field: &str) -> Result<&str> {
        let value = self.ready[field].as_str();
        value.ok_or_else(|| format!("the ready line has no {field}: {}", self.ready).into())
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its peak resident memory, in kB of 1,024 bytes.
    pub fn peak_memory_kib(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    /// Its resident memory, in kB of 1,024 bytes.
    pub fn memory_kib(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    fn status(&self, name: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let found = status.lines().find_map(|line| line.strip_prefix(name));
        Ok(found
            .and_then(|size| size.trim().strip_suffix(" kB"))
            .ok_or(format!("no {name}"))?
            .parse()?)
    }

    /// Shuts it down cleanly.
    pub fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("it exited with {status}").into()) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
