//! How many instructions each hot path takes, counted by valgrind: nearly the same on every machine, however
//! busy it is, for one compiler. A run of few and one of many are compared, so that starting does not
//! count.
//!
//! `instructions`: as a table; skipped where there is no valgrind. `--check` compares with what is checked in
//! (`counts/instructions.txt`), `--accept` puts these in its place: both for a release build.

use std::hint::black_box;
use std::process::Command;

use footbridge_benches::counts::{Counts, Record};
use footbridge_benches::paths::{Routes, line, memchr_line, typed, value};
use footbridge_benches::running::Result;
use footbridge_core::base::text::Text;
use footbridge_core::wire::message::Head;

const RECORD: Record = Record::new("instructions");
/// The size of a line, in bytes.
const BYTES: usize = 1_000;
/// How often each thing is done, at least.
const FEW: u64 = 200;
const MANY: u64 = 1_200;

/// What is counted.
const PATHS: [&str; 10] = [
    "line.memchr",
    "line.head",
    "line.typed",
    "line.value",
    "from_agent.1",
    "from_agent.32",
    "from_agent.1000",
    "to_agent.1",
    "to_agent.32",
    "to_agent.1000",
];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [path, times] = &*args {
        return run(path, times.parse()?);
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: there is no valgrind here");
        return Ok(());
    }
    let mut counts = Counts::new();
    for path in PATHS {
        counts.insert(path.into(), counted(path)?);
    }
    match args.first().map(String::as_str) {
        Some("--accept") => RECORD.accept(&counts),
        Some("--check") => RECORD.check(&counts),
        _ => {
            show(&counts);
            Ok(())
        }
    }
}

fn show(counts: &Counts) {
    let typed = counts["line.typed"];
    println!(
        "Instructions for one line of {BYTES} bytes, and as a part of reading it into its type:\n"
    );
    println!("| path | instructions | ratio |");
    println!("| --- | ---: | ---: |");
    for path in PATHS {
        println!("| {path} | {:.0} | {:.2} |", counts[path], counts[path] / typed);
    }
}

/// The instructions of one time.
fn counted(path: &str) -> Result<f64> {
    let (few, many) = (valgrind(path, FEW)?, valgrind(path, MANY)?);
    Ok((many - few) / (MANY - FEW) as f64)
}

fn valgrind(path: &str, times: u64) -> Result<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args([path, &times.to_string()])
        .output()?;
    let text = String::from_utf8(output.stderr)?;
    let refs = text.lines().find_map(|line| line.split_once("I   refs:").map(|(_, refs)| refs));
    let refs = refs.ok_or_else(|| format!("valgrind says nothing of instructions: {text}"))?;
    Ok(refs.trim().replace(',', "").parse()?)
}

/// Does it so often.
fn run(path: &str, times: u64) -> Result<()> {
    let text = line(BYTES);
    let again = |act: &mut dyn FnMut()| (0..times).for_each(|_| act());
    let (what, sessions) = path.split_once('.').ok_or("no such path")?;
    match (what, sessions) {
        ("line", "memchr") => again(&mut || {
            black_box(memchr_line(black_box(text.as_bytes())));
        }),
        ("line", "head") => {
            let text = Text::from(text);
            again(&mut || drop(black_box(Head::parse(black_box(&text)))));
        }
        ("line", "typed") => again(&mut || drop(black_box(typed(black_box(&text))))),
        ("line", "value") => again(&mut || drop(black_box(value(black_box(&text))))),
        ("from_agent", sessions) => {
            let mut routes = Routes::new(sessions.parse()?, BYTES);
            again(&mut || _ = black_box(routes.from_agent()));
        }
        ("to_agent", sessions) => {
            let mut routes = Routes::new(sessions.parse()?, BYTES);
            again(&mut || _ = black_box(routes.to_agent()));
        }
        _ => return Err("no such path".into()),
    }
    Ok(())
}
