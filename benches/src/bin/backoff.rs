//! When a worker tries again while its relay is away, as a picture; and how many of many workers come
//! back at once when it returns. Virtual time: the same on every machine.
//!
//! `backoff [WORKERS]`, 10,000 by default.

use std::time::Duration;

use fastrand::Rng;
use footbridge_core::base::time::Instant;
use footbridge_core::engine::backoff::{Backoff, BackoffConfig, FailureTrack, Verdict};

/// How long the relay is away.
const OUTAGES: [u64; 4] = [10, 60, 240, 580];
/// A connection that is refused takes no time; that is the worst case for whoever returns.
const WIDTH: usize = 100;

fn main() {
    let workers = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10_000);
    picture();
    storm(workers);
}

/// The instants at which one worker tries, until it gives up.
fn tries(seed: u64) -> Vec<f64> {
    let mut rng = Rng::with_seed(seed);
    let mut backoff = Backoff::new(BackoffConfig::default());
    let mut now = Instant::ORIGIN;
    let mut all = Vec::new();
    while let Verdict::RetryAfter(pause) =
        backoff.fail(now, FailureTrack::Connection, None, &mut rng)
    {
        now = now + pause;
        all.push(now.since_origin().as_secs_f64());
    }
    all
}

fn picture() {
    println!(
        "Tries of three workers in the ten minutes until they give up ({WIDTH} columns, 6 s each):\n"
    );
    for seed in 1..=3 {
        let mut row = vec!['.'; WIDTH + 1];
        let all = tries(seed);
        for at in &all {
            row[(*at as usize / 6).min(WIDTH)] = '#';
        }
        println!("{} {} tries", row.into_iter().collect::<String>(), all.len());
    }
}

/// All of them lose the relay in the same instant.
fn storm(workers: u64) {
    println!("\n{workers} workers lose their relay at once:\n");
    println!("| away for | back within | most in one second | evenly spread | ratio |");
    println!("| ---: | ---: | ---: | ---: | ---: |");
    let all: Vec<_> = (0..workers).map(|seed| tries(seed * 7919 + 1)).collect();
    for outage in OUTAGES {
        let outage = Duration::from_secs(outage).as_secs_f64();
        let mut seconds = vec![0_u64; 200];
        for tries in &all {
            // The first try after its return succeeds.
            if let Some(at) = tries.iter().find(|at| **at >= outage) {
                let second = (at - outage) as usize;
                seconds[second.min(199)] += 1;
            }
        }
        let last = seconds.iter().rposition(|count| *count > 0).unwrap_or(0) as u64 + 1;
        let most = seconds.iter().max().copied().unwrap_or(0);
        let even = seconds.iter().sum::<u64>() as f64 / last as f64;
        println!("| {outage} s | {last} s | {most} | {even:.0} | {:.1} |", most as f64 / even);
    }
}
