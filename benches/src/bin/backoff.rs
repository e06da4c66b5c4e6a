//! When a worker tries again while its relay is away, as a picture; and how many of many workers come
//! back at once when it returns, with the keys that it had or with others, after which everybody has to
//! register again. Virtual time: the same on every machine.
//!
//! `backoff [WORKERS]`, 10,000 by default.

use std::time::Duration;

use fastrand::Rng;
use footbridge_benches::storm::{Keys, lose};
use footbridge_core::base::time::Instant;
use footbridge_core::engine::backoff::{Backoff, BackoffConfig, FailureTrack, Verdict};

/// How long the relay is away.
const OUTAGES: [u64; 5] = [1, 10, 60, 240, 580];
/// The columns of a picture.
const WIDTH: usize = 100;

fn main() {
    let workers = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10_000);
    picture();
    storms(workers);
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
fn storms(workers: u64) {
    println!("\n{workers} workers lose their relay at once; requests after it is back:\n");
    println!(
        "| away for | its keys | requests | within | most in one second | evenly spread | ratio |"
    );
    println!("| ---: | --- | ---: | ---: | ---: | ---: | ---: |");
    for keys in [Keys::Kept, Keys::Changed] {
        for outage in OUTAGES {
            let arrivals = lose(workers, Duration::from_secs(outage), keys);
            let (all, most, even) = (arrivals.all(), arrivals.most(), arrivals.even());
            let keys = if keys == Keys::Kept { "kept" } else { "changed" };
            let seconds = arrivals.by_second.len();
            let ratio = most as f64 / even;
            println!(
                "| {outage} s | {keys} | {all} | {seconds} s | {most} | {even:.0} | {ratio:.1} |"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_come_back_spread_out_and_the_longer_the_outage_the_more() {
        let ratios = OUTAGES.map(|outage| {
            let arrivals = lose(300, Duration::from_secs(outage), Keys::Kept);
            arrivals.most() as f64 / arrivals.even()
        });
        assert!(ratios[1] <= 5.0 && ratios[4] <= 3.5, "{ratios:?}");
        picture();
    }
}
