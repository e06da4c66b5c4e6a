//! Runs simulated worlds: one from its seed, or many on all cores until one breaks a promise.

use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use footbridge_fuzz::{FAULT_KINDS, KINDS, MUTANTS, Options, Report, run, shrink};
use lexopt::prelude::*;

const HELP: &str = "\
Runs simulated worlds of Footbridge: relay, workers, agents, viewers, network, disks and clocks, on
virtual time, all drawn from a seed.

  footbridge-fuzz --seed N [--quiet | --render] [options]   one run, with its trace
  footbridge-fuzz --runs N | --hours H [--from SEED]        many, on all cores

  --seed N         the seed from which everything is drawn
  --steps M        stop after this many events (400000)
  --quiet          print the result only
  --render         print a Mermaid sequence diagram instead of the trace
  --shrink         look for a smaller run with the same failure
  --runs N         number of runs, with seeds from --from on
  --hours H        keep running for this many hours
  --from SEED      the first seed (taken from the clock with --hours, else 0)
  --minutes M      minutes of virtual time during which things go wrong
  --workers N      number of workers
  --viewers N      number of viewers
  --agent KIND     the kind of all agents: chatty, asking, flooding, …, shell
  --faults LIST    what may go wrong, separated by commas, or none: relay-crash,cut,…
  --embedded Y     whether a program exposes its own session: yes or no
  --strangers Y    whether somebody without a credential takes part: yes or no
  --code-sessions Y  whether sessions of some workers travel as version 2
  --machines Y     whether somebody logs machines in and ends them
  --work-streams Y   whether the work of some workers comes by a stream
  --mutant NAME    break something on purpose
  --list           list all kinds of agents, faults and mutants
  --help           show this text

Exits with 1 if a promise was broken, and prints the command that reproduces it.
";

struct Args {
    options: Options,
    seed: Option<u64>,
    runs: Option<u64>,
    hours: Option<f64>,
    from: Option<u64>,
    renders: bool,
    is_quiet: bool,
    shrinks: bool,
}

fn main() -> ExitCode {
    match parse() {
        Ok(Some(args)) => go(&args),
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("footbridge-fuzz: {error}; try --help");
            ExitCode::from(2)
        }
    }
}

fn parse() -> Result<Option<Args>, lexopt::Error> {
    let mut args = Args {
        options: Options::new(0),
        seed: None,
        runs: None,
        hours: None,
        from: None,
        renders: false,
        is_quiet: false,
        shrinks: false,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("seed") => args.seed = Some(parser.value()?.parse()?),
            Long("runs") => args.runs = Some(parser.value()?.parse()?),
            Long("hours") => args.hours = Some(parser.value()?.parse()?),
            Long("from") => args.from = Some(parser.value()?.parse()?),
            Long("quiet") => args.is_quiet = true,
            Long("render") => args.renders = true,
            Long("shrink") => args.shrinks = true,
            Long("list") => {
                list();
                return Ok(None);
            }
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(None);
            }
            Long(
                name @ ("steps" | "minutes" | "workers" | "viewers" | "agent" | "faults"
                | "strangers" | "embedded" | "code-sessions" | "work-streams" | "machines"
                | "mutant"),
            ) => {
                let name = name.to_owned();
                let value = parser.value()?.string()?;
                if let Some(Err(error)) = args.options.set(&name, &value) {
                    return Err(lexopt::Error::Custom(error.into()));
                }
            }
            _ => return Err(arg.unexpected()),
        }
    }
    if args.seed.is_none() && args.runs.is_none() && args.hours.is_none() {
        print!("{HELP}");
        return Ok(None);
    }
    Ok(Some(args))
}

fn list() {
    for kind in KINDS {
        println!("agent   {}", format!("{kind:?}").to_lowercase());
    }
    for kind in FAULT_KINDS {
        println!("fault   {}", kind.name());
    }
    for mutant in MUTANTS {
        println!("mutant  {}: breaks {:?}", mutant.name(), mutant.promise());
    }
}

fn go(args: &Args) -> ExitCode {
    match args.seed {
        Some(seed) => one(seed, args),
        None => many(args),
    }
}

/// One run, with its trace.
fn one(seed: u64, args: &Args) -> ExitCode {
    let options = Options { seed, trace: !args.is_quiet, ..args.options.clone() };
    let options = if args.shrinks { shrink(&options) } else { options };
    let report = run(&options);
    let text = if args.renders { &report.diagram } else { &report.trace };
    // The reader may close the pipe before the end.
    let _ = std::io::stdout().write_all(text.as_bytes());
    print_result(&options, &report);
    if report.violation.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn print_result(options: &Options, report: &Report) {
    let secs = report.time.as_secs();
    let end = if report.is_complete { "" } else { " (cut short by --steps)" };
    match &report.violation {
        Some(violation) => {
            eprintln!("BROKEN {} at {:?}: {}", violation.promise, violation.at, violation.words);
            eprintln!("replay it: cargo run -p footbridge-fuzz --release -- {options}");
        }
        None => {
            eprintln!("{options}: {} events in {secs} s, all promises kept{end}", report.events);
        }
    }
}

/// Runs until the number of runs or the time is reached, or a promise is broken.
fn many(args: &Args) -> ExitCode {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let from_clock = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |now| now.as_secs())
    };
    let from = args.from.unwrap_or_else(|| if args.hours.is_some() { from_clock() } else { 0 });
    let next = AtomicU64::new(from);
    let last = args.runs.map_or(u64::MAX, |runs| from.saturating_add(runs));
    let began = Instant::now();
    let until = args.hours.map(|hours| began + Duration::from_secs_f64(hours * 3600.0));
    let is_over = AtomicBool::new(false);
    let (done, events, millis) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let failed = std::sync::Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= last || until.is_some_and(|until| Instant::now() >= until) {
                        break;
                    }
                    let options = Options { seed, trace: false, ..args.options.clone() };
                    let report = run(&options);
                    let count = done.fetch_add(1, Ordering::Relaxed) + 1;
                    events.fetch_add(report.events, Ordering::Relaxed);
                    let time = u64::try_from(report.time.as_millis()).unwrap_or(u64::MAX);
                    millis.fetch_add(time, Ordering::Relaxed);
                    if report.violation.is_some() {
                        is_over.store(true, Ordering::Relaxed);
                        if let Ok(mut failed) = failed.lock() {
                            failed.get_or_insert((options, report));
                        }
                    } else if count % 100 == 0 {
                        eprintln!("{count} runs, {:.0} s", began.elapsed().as_secs_f64());
                    }
                }
            });
        }
    });
    let wall = began.elapsed().as_secs_f64();
    let hours =
        f64::from(u32::try_from(millis.load(Ordering::Relaxed) / 1000).unwrap_or(0)) / 3600.0;
    let (done, events) = (done.load(Ordering::Relaxed), events.load(Ordering::Relaxed));
    eprintln!("{done} runs, {events} events, {hours:.1} simulated hours in {wall:.1} s");
    match failed.into_inner().ok().flatten() {
        Some((options, report)) => {
            print_result(&options, &report);
            let smaller = shrink(&options);
            eprintln!("smaller: cargo run -p footbridge-fuzz --release -- {smaller}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}
