//! main
use footbridge_fuzz::{Options, run};
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args[0] == "many" {
        let (a, b): (u64, u64) = (args[1].parse().unwrap(), args[2].parse().unwrap());
        let t = std::time::Instant::now();
        let (mut events, mut time, mut broken) = (0, 0.0, 0);
        for seed in a..b {
            let r = match std::panic::catch_unwind(|| run(&Options::new(seed))) { Ok(r) => r, Err(_) => { println!("seed {seed} PANIC"); continue } };
            events += r.events; time += r.time.as_secs_f64();
            if let Some(x) = r.broken { broken += 1; println!("seed {seed}: {} at {:?}: {}", x.promise, x.at, x.words.chars().take(300).collect::<String>()); }
            else if !r.is_complete { println!("seed {seed} incomplete"); }
        }
        println!("{broken} broken, {} events, {:.1} h in {:?}", events, time / 3600.0, t.elapsed());
        return;
    }
    let seed: u64 = args[0].parse().unwrap();
    let mut o = Options::new(seed);
    o.trace = true;
    if args.get(1).map(|s| s.as_str()) == Some("quiet") { o = o.without_faults(); }
    let r = run(&o);
    print!("{}", r.trace);
    eprintln!("{} events, {:?}, complete {}, {:?}", r.events, r.time, r.is_complete, r.broken);
}
