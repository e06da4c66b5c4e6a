//! main
use footbridge_fuzz::{Options, run};
fn main() {
    let mut args = std::env::args().skip(1);
    let seed: u64 = args.next().and_then(|s| s.parse().ok()).unwrap_or(1);
    let mut o = Options::new(seed);
    o.trace = true;
    if args.next().as_deref() == Some("quiet") { o = o.without_faults(); }
    let r = run(&o);
    print!("{}", r.trace);
    eprintln!("{} events, {:?}, complete {}, {:?}", r.events, r.time, r.is_complete, r.broken);
}
