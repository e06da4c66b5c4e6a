//! The schedule on clocks that are set by hand.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::{Strategy, prop, proptest};
use proptest::{prop_assert, prop_oneof};

use super::*;
use crate::base::limits::MAX_REFRESH_SCHEDULES;
use crate::base::secret::Secret;
use crate::base::time::{Instant, Now, UnixTime};
use crate::contract::event::Event;
use crate::testing::Hand;

/// 2026, in seconds since 1970.
const START: u64 = 1_767_225_600;

type Tokens = Hand<TokenRefresh<&'static str>>;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn tokens() -> Tokens {
    let now = Now { mono: Instant::ORIGIN, wall: UnixTime::from_millis(START * 1000) };
    Hand::new(TokenRefresh::new(RefreshPolicy::default()), now)
}

fn token(claims: &str) -> Secret {
    Secret::new(format!("sk-ant-si-e30.{}.x", URL_SAFE_NO_PAD.encode(claims)))
}

/// A token that runs out so many seconds after the start.
fn until(seconds: u64) -> Secret {
    token(&format!(r#"{{"exp":{}}}"#, START + seconds))
}

fn schedule(hand: &mut Tokens, token: Secret) {
    hand.command(RefreshCommand::Schedule("a", token));
}

/// The refresh that was asked for, if any.
fn asked(hand: &mut Tokens) -> Option<Generation> {
    let mut notices = core::mem::take(&mut hand.notices).into_iter();
    let generation = notices.find_map(|notice| match notice {
        RefreshNotice::Refresh(due) => Some(due.generation),
        _ => None,
    });
    assert!(notices.all(|notice| !matches!(notice, RefreshNotice::Refresh(_))), "one at a time");
    generation
}

/// Waits until a refresh is asked for, and returns how long that took by the monotonic clock.
fn wait(hand: &mut Tokens) -> (Duration, Generation) {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(generation) = asked(hand) {
            return (waited, generation);
        }
        waited += hand.wait();
    }
}

fn settle(hand: &mut Tokens, generation: Generation, outcome: RefreshOutcome) {
    hand.command(RefreshCommand::Settle("a", generation, outcome));
}

fn refreshed(token: Secret) -> RefreshOutcome {
    RefreshOutcome::Refreshed(NewToken::Readable(token))
}

#[test]
fn a_token_is_refreshed_five_minutes_before_it_runs_out_and_at_once_if_that_has_passed() {
    for (left, expected) in [(3600, 3300), (301, 1), (300, 0), (299, 0), (0, 0)] {
        let mut hand = tokens();
        schedule(&mut hand, until(left));
        assert_eq!(wait(&mut hand).0, secs(expected), "{left} s are left");
    }
    let mut hand = tokens();
    schedule(&mut hand, token(&format!(r#"{{"exp":{}}}"#, START - 5000)));
    assert_eq!(wait(&mut hand).0, Duration::ZERO);
}

#[test]
fn the_lead_can_be_set() {
    let policy = RefreshPolicy { lead: secs(60), ..RefreshPolicy::default() };
    let now = Now { mono: Instant::ORIGIN, wall: UnixTime::from_millis(START * 1000) };
    let mut hand = Hand::new(TokenRefresh::new(policy), now);
    schedule(&mut hand, until(3600));
    assert_eq!(wait(&mut hand).0, secs(3540));
}

#[test]
fn a_token_that_nobody_can_read_is_refreshed_every_half_hour() {
    for unreadable in [Secret::from("opaque"), token("{}"), token(r#"{"exp":"soon"}"#)] {
        let mut hand = tokens();
        schedule(&mut hand, unreadable.clone());
        for _ in 0..3 {
            let (waited, generation) = wait(&mut hand);
            assert_eq!(waited, secs(1800));
            settle(&mut hand, generation, refreshed(unreadable.clone()));
        }
    }
}

#[test]
fn a_life_shorter_than_twice_the_lead_is_refreshed_half_way() {
    for (life, expected) in [(3600, 3300), (600, 300), (400, 200), (20, 10), (1, 5), (0, 5)] {
        let mut hand = tokens();
        hand.command(RefreshCommand::ScheduleExpiresIn("a", secs(life)));
        assert_eq!(wait(&mut hand).0, secs(expected), "{life} s");
    }
    // The same of a token that says when it was issued, wherever it comes from.
    let mut hand = tokens();
    schedule(&mut hand, token(&format!(r#"{{"iat":{},"exp":{}}}"#, START - 5, START + 15)));
    assert_eq!(wait(&mut hand).0, secs(5));
}

#[test]
fn a_clock_that_is_set_or_stands_still_delays_no_refresh() {
    // Set back by a day.
    let mut hand = tokens();
    schedule(&mut hand, until(3600));
    hand.now.wall = UnixTime::from_millis((START - 86_400) * 1000);
    assert_eq!(wait(&mut hand).0, secs(3300));
    // The computer slept for a day, which only the wall clock has counted.
    let mut hand = tokens();
    schedule(&mut hand, until(3600));
    hand.now.wall = hand.now.wall + secs(86_400);
    let (waited, _) = wait(&mut hand);
    assert!(waited <= secs(60), "{waited:?}");
    // Only the monotonic one has.
    let mut hand = tokens();
    schedule(&mut hand, until(3600));
    hand.now.mono = hand.now.mono + secs(86_400);
    hand.handle(Event::Tick);
    assert!(asked(&mut hand).is_some());
}

#[test]
fn a_wrong_clock_makes_no_refresh_follow_another_at_once() {
    for skew in [-86_400_i64, -3000, 0, 3000, 86_400] {
        let mut hand = tokens();
        schedule(&mut hand, Secret::from("opaque"));
        let (_, mut generation) = wait(&mut hand);
        let mut pauses = Vec::new();
        for _ in 0..5 {
            let issuers = (hand.now.wall.as_secs() as i64 + skew) as u64;
            let claims = format!(r#"{{"iat":{issuers},"exp":{}}}"#, issuers + 3600);
            settle(&mut hand, generation, refreshed(token(&claims)));
            let (waited, next) = wait(&mut hand);
            pauses.push(waited);
            generation = next;
        }
        let in_time = |pause: &Duration| (secs(300)..=secs(3300)).contains(pause);
        assert!(pauses.iter().all(in_time), "{skew}: {pauses:?}");
    }
    // Without `iat`, it is taken for one that nobody can read.
    let mut hand = tokens();
    schedule(&mut hand, until(0));
    let (_, generation) = wait(&mut hand);
    settle(&mut hand, generation, refreshed(until(0)));
    assert_eq!(wait(&mut hand).0, secs(1800));
}

#[test]
fn three_failures_in_a_row_need_a_log_in_and_a_success_in_between_starts_again() {
    let mut hand = tokens();
    schedule(&mut hand, until(3600));
    for round in 0..3 {
        for _ in 0..2 {
            let (_, generation) = wait(&mut hand);
            settle(&mut hand, generation, RefreshOutcome::Failed);
        }
        let (_, generation) = wait(&mut hand);
        let left = hand.now.wall.as_secs() + 3600 - START;
        settle(&mut hand, generation, refreshed(until(left)));
        assert!(!hand.machine.needs_log_in(&"a"), "round {round}");
    }
    for _ in 0..3 {
        let (_, generation) = wait(&mut hand);
        settle(&mut hand, generation, RefreshOutcome::Failed);
    }
    assert_eq!(hand.notices.last(), Some(&RefreshNotice::NeedsLogIn("a")));
    assert!(hand.machine.needs_log_in(&"a"));
    assert_eq!(hand.deadline, None, "no ghost timer");
}

#[test]
fn all_tries_come_before_the_token_runs_out() {
    for life in [20, 120, 600, 3600, 86_400] {
        let mut hand = tokens();
        hand.command(RefreshCommand::ScheduleExpiresIn("a", secs(life)));
        for _ in 0..3 {
            let (_, generation) = wait(&mut hand);
            settle(&mut hand, generation, RefreshOutcome::Failed);
        }
        let passed = hand.now.wall.as_secs() - START;
        assert!(hand.machine.needs_log_in(&"a") && passed <= life, "{passed} of {life} s");
    }
}

#[test]
fn an_issuer_that_is_away_counts_only_once_the_token_has_run_out() {
    let unreachable = || RefreshOutcome::Unreachable { retry_after: None };
    let mut hand = tokens();
    schedule(&mut hand, until(3600));
    let mut tries = 0;
    while !hand.machine.needs_log_in(&"a") {
        let (_, generation) = wait(&mut hand);
        settle(&mut hand, generation, unreachable());
        tries += 1;
    }
    let passed = hand.now.wall.as_secs() - START;
    assert!(passed > 3600 && tries > 6, "given up after {passed} s and {tries} tries");
    // It wants to be left alone.
    let mut hand = tokens();
    schedule(&mut hand, until(3600));
    let (_, generation) = wait(&mut hand);
    let retry_after = Some(secs(200));
    settle(&mut hand, generation, RefreshOutcome::Unreachable { retry_after });
    assert_eq!(wait(&mut hand).0, secs(200));
}

#[test]
fn a_log_in_that_is_needed_can_come_from_anywhere_at_any_time() {
    let needing = || {
        let mut hand = tokens();
        schedule(&mut hand, until(0));
        let (_, generation) = wait(&mut hand);
        settle(&mut hand, generation, RefreshOutcome::Refused);
        assert!(hand.machine.needs_log_in(&"a") && hand.deadline.is_none());
        hand.pass(secs(100_000));
        hand.handle(Event::Tick);
        assert_eq!(asked(&mut hand), None);
        hand
    };
    let mut hand = needing();
    let later = hand.now.wall.as_secs() - START;
    schedule(&mut hand, until(later + 3600));
    assert!(!hand.machine.needs_log_in(&"a"));
    assert_eq!(wait(&mut hand).0, secs(3300));

    let mut hand = needing();
    hand.command(RefreshCommand::RefreshNow("a"));
    for _ in 0..2 {
        let (_, generation) = wait(&mut hand);
        settle(&mut hand, generation, RefreshOutcome::Failed);
        assert!(!hand.machine.needs_log_in(&"a"), "it has all its tries again");
    }
}

#[test]
fn what_comes_too_late_changes_nothing() {
    let mut hand = tokens();
    schedule(&mut hand, until(0));
    let old = asked(&mut hand).expect("at once");
    // Somebody else has refreshed it meanwhile.
    schedule(&mut hand, until(3600));
    settle(&mut hand, old, RefreshOutcome::Refused);
    assert!(!hand.machine.needs_log_in(&"a"));
    assert_eq!(wait(&mut hand).0, secs(3300));

    for forget in [RefreshCommand::Cancel("a"), RefreshCommand::CancelAll] {
        let mut hand = tokens();
        schedule(&mut hand, until(0));
        let old = asked(&mut hand).expect("at once");
        hand.command(forget);
        settle(&mut hand, old, refreshed(until(600)));
        assert_eq!((asked(&mut hand), hand.deadline), (None, None));
    }
}

#[test]
fn a_refresh_under_way_has_no_second_one_beside_it() {
    let mut hand = tokens();
    schedule(&mut hand, until(0));
    let old = asked(&mut hand).expect("at once");
    hand.command(RefreshCommand::RefreshNow("a"));
    hand.command(RefreshCommand::Cancel("a"));
    schedule(&mut hand, until(1));
    hand.pass(secs(1000));
    hand.handle(Event::Tick);
    assert_eq!(asked(&mut hand), None);
    settle(&mut hand, old, refreshed(until(7200)));
    let next = asked(&mut hand).expect("the newer token's own");
    assert!(next > old);
    settle(&mut hand, next, refreshed(until(7200)));
    settle(&mut hand, next, RefreshOutcome::Refused);
    assert!(!hand.machine.needs_log_in(&"a"), "a second outcome is dropped");
}

#[test]
fn of_too_many_tokens_the_last_ones_have_no_schedule() {
    let now = Now::default();
    let mut scheduler = RefreshScheduler::new(RefreshPolicy::default());
    for key in 0..MAX_REFRESH_SCHEDULES {
        assert!(scheduler.schedule_expires_in(now, key, secs(600)));
    }
    assert!(!scheduler.schedule_expires_in(now, MAX_REFRESH_SCHEDULES, secs(600)));
    assert!(scheduler.schedule_expires_in(now, 0, secs(600)));
}

/// A session whose token lives for 20 s speaks each second, for ten lives of it, while the issuer is
/// slow, and away at every fourth try, but never at more than three in a row.
#[test]
fn a_session_outlives_its_token_ten_times_and_never_shows_one_that_has_run_out() {
    const LIFE: u64 = 20;
    let mut hand = tokens();
    let mut rng = fastrand::Rng::with_seed(7);
    let mut ends = hand.now.wall + secs(LIFE);
    hand.command(RefreshCommand::ScheduleExpiresIn("a", secs(LIFE)));
    let (mut under_way, mut refreshes, mut in_a_row) = (None, 0, 0);
    for second in 0..10 * LIFE {
        assert!(hand.now.wall < ends, "it has lapsed after {second} s");
        if let Some(generation) = asked(&mut hand) {
            assert!(under_way.is_none());
            under_way = Some((generation, rng.u64(0..2)));
        }
        match under_way.take() {
            Some((generation, 0)) => {
                let outcome = match rng.u32(0..4) {
                    0 if in_a_row < 3 => {
                        in_a_row += 1;
                        RefreshOutcome::Unreachable { retry_after: None }
                    }
                    _ => {
                        in_a_row = 0;
                        refreshes += 1;
                        ends = hand.now.wall + secs(LIFE);
                        RefreshOutcome::Refreshed(NewToken::ExpiresIn(secs(LIFE)))
                    }
                };
                settle(&mut hand, generation, outcome);
            }
            waiting => under_way = waiting.map(|(generation, left)| (generation, left - 1)),
        }
        hand.pass(secs(1));
        hand.handle(Event::Tick);
    }
    assert!((10..30).contains(&refreshes), "{refreshes}");
}

#[derive(Clone, Debug)]
enum Happens {
    Pass(u64),
    SetWall(u64),
    Schedule(u8, u64),
    Cancel(u8),
    Now(u8),
    Settle(usize, u8),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        (0..100_000_u64).prop_map(Happens::Pass),
        (0..2 * START).prop_map(Happens::SetWall),
        (0..3_u8, 0..2 * START).prop_map(|(key, exp)| Happens::Schedule(key, exp)),
        (0..3_u8).prop_map(Happens::Cancel),
        (0..3_u8).prop_map(Happens::Now),
        (0..8_usize, 0..5_u8).prop_map(|(which, how)| Happens::Settle(which, how)),
    ]
}

proptest! {
    /// Whatever happens on whatever clocks: one refresh of a token at a time, no deadline in the past
    /// (which `Hand` checks), and no generation twice.
    #[test]
    fn the_rules_hold_whatever_happens(all in prop::collection::vec(happens(), 0..60)) {
        let now = Now { mono: Instant::ORIGIN, wall: UnixTime::from_millis(START * 1000) };
        let mut hand = Hand::new(TokenRefresh::new(RefreshPolicy::default()), now);
        let mut open: Vec<Due<u8>> = Vec::new();
        let mut latest = None;
        for one in all {
            match one {
                Happens::Pass(seconds) => {
                    hand.pass(secs(seconds));
                    hand.handle(Event::Tick);
                }
                Happens::SetWall(seconds) => {
                    hand.now.wall = UnixTime::from_millis(seconds * 1000);
                    hand.handle(Event::Tick);
                }
                Happens::Schedule(key, exp) => {
                    let token = token(&format!(r#"{{"exp":{exp}}}"#));
                    hand.command(RefreshCommand::Schedule(key, token));
                }
                Happens::Cancel(key) => hand.command(RefreshCommand::Cancel(key)),
                Happens::Now(key) => hand.command(RefreshCommand::RefreshNow(key)),
                Happens::Settle(which, how) => {
                    if which < open.len() {
                        let Due { key, generation } = open.remove(which);
                        let outcome = match how {
                            0 => RefreshOutcome::Refused,
                            1 => RefreshOutcome::Failed,
                            2 => RefreshOutcome::Unreachable { retry_after: Some(secs(9)) },
                            3 => refreshed(Secret::from("opaque")),
                            _ => RefreshOutcome::Refreshed(NewToken::ExpiresIn(secs(600))),
                        };
                        hand.command(RefreshCommand::Settle(key, generation, outcome));
                    }
                }
            }
            for notice in core::mem::take(&mut hand.notices) {
                if let RefreshNotice::Refresh(due) = notice {
                    prop_assert!(open.iter().all(|other| other.key != due.key));
                    open.push(due);
                }
            }
            let newest = open.iter().map(|due| due.generation).max();
            latest = latest.max(newest);
        }
        let text: String = format!("{hand:?}");
        prop_assert!(!text.contains("opaque"), "no secret is shown");
    }
}
