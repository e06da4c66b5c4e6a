//! What the programs take: their size, their memory by kind, threads, and how often they wake in an idle
//! minute; what 32 sessions add, and what each idle worker and viewer costs a relay.
//!
//! `footprint [FOOTBRIDGE [FOOTBRIDGE-WORKER]]`: programs to measure; without one, the current `footbridge`
//! is built. `FOOTPRINT_IDLE=SECONDS` for less than a minute.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use footbridge_benches::running::{Result, Running, TOKEN, api, build, subscribe};
use serde_json::{Value, json};

const SESSIONS: usize = 32;
/// As many environments as one person may have.
const WORKERS: usize = 250;
const VIEWERS: usize = 3_000;
/// A session has no more than 64.
const VIEWERS_EACH: usize = 60;
/// Until what starts has settled.
const SETTLE: Duration = Duration::from_secs(3);
/// What a worker tries its agent's program for at most; its process ends then.
const TRIED: Duration = Duration::from_secs(22);

/// What a process takes, in kB of 1,024 bytes.
#[derive(Clone, Debug)]
struct Footprint {
    resident: i64,
    proportional: i64,
    anonymous: i64,
    /// How often each thread was switched to, by its id.
    switches: BTreeMap<OsString, i64>,
    /// Of a hundredth of a second.
    ticks: i64,
}

impl Footprint {
    fn of(pid: u32) -> Result<Self> {
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let kib = |name: &str| field(&rollup, name).ok_or_else(|| format!("no {name}"));
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
        let tick = |at: usize| fields.get(at).and_then(|field| field.parse().ok()).unwrap_or(0_i64);
        let mut switches = BTreeMap::new();
        for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?;
            let status = std::fs::read_to_string(thread.path().join("status"))?;
            let names = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"];
            let count = names.iter().filter_map(|name| field(&status, name)).sum();
            switches.insert(thread.file_name(), count);
        }
        Ok(Self {
            resident: kib("Rss:")?,
            proportional: kib("Pss:")?,
            anonymous: kib("Anonymous:")?,
            switches,
            ticks: tick(11) + tick(12),
        })
    }
}

fn field(text: &str, name: &str) -> Option<i64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().trim_end_matches(" kB").parse().ok()
}

fn main() -> Result<()> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let program = args.first().map_or_else(build, |program| Ok(program.clone()))?;
    let worker = args.get(1);
    println!("| program | bytes |\n| --- | ---: |");
    for program in [Some(&program), worker].into_iter().flatten() {
        let name = program.file_name().unwrap_or_default().display();
        println!("| {name} | {} |", std::fs::metadata(program)?.len());
    }
    println!(
        "\n| | resident | of it its own | shared out | threads | switches a minute | ticks a minute |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    let home = tempfile::tempdir()?;
    let relay = Running::start(&program, home.path(), &["relay", "--listen", "127.0.0.1:0"])?;
    let url = relay.ready("url")?.to_owned();
    let start = |program: &Path, command: &[&str], name: &str| {
        let directory = home.path().join(name);
        std::fs::create_dir(&directory)?;
        let options = ["--relay", &url, "--agent", "cat", "--max-sessions", "32", "--name", name];
        Running::start(program, &directory, &[command, &options].concat())
    };
    let mut workers = vec![("footbridge work", start(&program, &["work"], "smol")?)];
    if let Some(worker) = worker {
        workers.push(("footbridge-worker", start(worker, &[], "threads")?));
    }
    thread::sleep(TRIED);
    let all = || std::iter::once(("relay", &relay)).chain(workers.iter().map(|(n, w)| (*n, w)));
    idle(&all().map(|(name, process)| (name, process.id())).collect::<Vec<_>>())?;
    for (name, worker) in &workers {
        let before = (Footprint::of(worker.id())?, Footprint::of(relay.id())?);
        run_sessions(&relay, worker.ready("environment_id")?)?;
        let after = (Footprint::of(worker.id())?, Footprint::of(relay.id())?);
        row(&format!("{name} with {SESSIONS} sessions"), &after.0, None);
        row(&format!("relay with {SESSIONS} sessions"), &after.1, None);
        let each = |after: &Footprint, before: &Footprint| {
            (after.anonymous - before.anonymous) * 1_024 / SESSIONS as i64
        };
        let (own, relays) = (each(&after.0, &before.0), each(&after.1, &before.1));
        println!(
            "| · bytes of its own for each session: {own}; the relay's: {relays} | | | | | | |"
        );
    }
    for (_, worker) in workers {
        worker.stop()?;
    }
    relay.stop()?;
    crowd(&program)
}

fn row(name: &str, now: &Footprint, idle: Option<(i64, i64)>) {
    let Footprint { resident, proportional, anonymous, switches, .. } = now;
    let threads = switches.len();
    let (switches, ticks) = idle.map_or_else(Default::default, |(switches, ticks)| {
        (switches.to_string(), ticks.to_string())
    });
    println!(
        "| {name} | {resident} kB | {anonymous} kB | {proportional} kB | {threads} | {switches} | {ticks} |"
    );
}

/// A minute in which nobody wants anything.
fn idle(processes: &[(&str, u32)]) -> Result<()> {
    let seconds = std::env::var("FOOTPRINT_IDLE").ok().and_then(|text| text.parse().ok());
    let seconds = seconds.unwrap_or(60_i64);
    let look = || processes.iter().map(|(_, pid)| Footprint::of(*pid)).collect::<Result<Vec<_>>>();
    let before = look()?;
    thread::sleep(Duration::from_secs(seconds.unsigned_abs()));
    for (((name, _), before), after) in processes.iter().zip(before).zip(look()?) {
        let a_minute = |count: i64| count * 60 / seconds;
        // Those that began or ended meanwhile do not count.
        let switched =
            |(thread, count): (&OsString, &i64)| Some(count - before.switches.get(thread)?);
        let switches = a_minute(after.switches.iter().filter_map(switched).sum());
        row(name, &after, Some((switches, a_minute(after.ticks - before.ticks))));
    }
    Ok(())
}

/// Sessions that have each answered once.
fn run_sessions(relay: &Running, environment: &str) -> Result<()> {
    let (url, listen) = (relay.ready("url")?, relay.ready("listen")?);
    let user = json!({"type": "user", "message": {"role": "user", "content": "hello"}});
    for _ in 0..SESSIONS {
        let session = api(url, "/v1/sessions", &json!({ "environment_id": environment }))?;
        let session = session["id"].as_str().ok_or("a session without an id")?;
        let mut viewer = subscribe(listen, session)?;
        api(url, &format!("/v1/sessions/{session}/messages"), &json!({ "messages": [user] }))?;
        loop {
            let tungstenite::Message::Text(text) = viewer.read()? else { continue };
            let told: Value = serde_json::from_str(&text)?;
            if told["from"] == "agent" {
                break;
            }
        }
    }
    thread::sleep(SETTLE);
    Ok(())
}

/// A relay with many idle workers and viewers.
fn crowd(program: &Path) -> Result<()> {
    let home = tempfile::tempdir()?;
    let relay = Running::start(program, home.path(), &["relay", "--listen", "127.0.0.1:0"])?;
    let (url, listen) = (relay.ready("url")?, relay.ready("listen")?);
    let register = |n: usize| {
        let body = json!({"machine_name": format!("m{n}"), "directory": "/", "max_sessions": 100});
        api(url, "/v1/environments/bridge", &body)
    };
    let workers = (0..WORKERS).map(register).collect::<Result<Vec<_>>>()?;
    let environment = &workers.first().ok_or("no workers")?["environment_id"];
    let sessions = (0..VIEWERS / VIEWERS_EACH)
        .map(|_| api(url, "/v1/sessions", &json!({ "environment_id": environment })))
        .collect::<Result<Vec<_>>>()?;
    thread::sleep(SETTLE);
    let empty = Footprint::of(relay.id())?;

    let mut open = Vec::with_capacity(WORKERS + VIEWERS);
    // The first has work to do.
    for worker in workers.iter().skip(1) {
        let id = worker["environment_id"].as_str().ok_or("no id")?;
        let secret = worker["environment_secret"].as_str().ok_or("no secret")?;
        let mut tcp = TcpStream::connect(listen)?;
        write!(
            tcp,
            "GET /v1/environments/{id}/work/poll HTTP/1.1\r\nhost: {listen}\r\nauthorization: Bearer {secret}\r\nprefer: wait=50\r\n\r\n"
        )?;
        open.push(tcp);
    }
    thread::sleep(SETTLE);
    let polled = Footprint::of(relay.id())?;
    for n in 0..VIEWERS {
        let session = sessions[n % sessions.len()]["id"].as_str().ok_or("no id")?;
        open.push(watch(listen, session)?);
    }
    thread::sleep(SETTLE);
    let watched = Footprint::of(relay.id())?;
    let each = |after: &Footprint, before: &Footprint, count: usize| {
        (after.anonymous - before.anonymous) * 1_024 / count as i64
    };
    println!(
        "\n| relay | resident | of it its own | bytes for each |\n| --- | ---: | ---: | ---: |"
    );
    println!("| {WORKERS} environments | {} kB | {} kB | |", empty.resident, empty.anonymous);
    println!(
        "| and {} idle workers | {} kB | {} kB | {} |",
        WORKERS - 1,
        polled.resident,
        polled.anonymous,
        each(&polled, &empty, WORKERS - 1)
    );
    println!(
        "| and {VIEWERS} idle viewers | {} kB | {} kB | {} |",
        watched.resident,
        watched.anonymous,
        each(&watched, &polled, VIEWERS)
    );
    drop(open);
    relay.stop()
}

/// A viewer that takes no memory here: only its handshake is read.
fn watch(listen: &str, session: &str) -> Result<TcpStream> {
    let mut tcp = TcpStream::connect(listen)?;
    write!(
        tcp,
        "GET /v1/sessions/{session}/events/ws?after=0 HTTP/1.1\r\nhost: {listen}\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-protocol: footbridge.viewer.v1, footbridge.bearer.{TOKEN}\r\n\r\n"
    )?;
    let mut answer = [0; 64];
    let read = tcp.read(&mut answer)?;
    if !answer[..read].starts_with(b"HTTP/1.1 101") {
        return Err(format!("no WebSocket: {}", String::from_utf8_lossy(&answer[..read])).into());
    }
    Ok(tcp)
}
