//! Counts that are checked in, and compared with what is counted now.
//!
//! A file has one count a line, `name number`, and comments that begin with `#`. A count that is more
//! than [`MARGIN`] away from its number is a change that somebody has to accept.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::running::Result;

/// How far a count may be from what is checked in, as a part of that.
pub const MARGIN: f64 = 0.03;
/// And beside that, for counts near zero.
const SLACK: f64 = 0.05;

/// What was counted, by name.
pub type Counts = BTreeMap<String, f64>;

/// A file of counts that is checked in, in `counts` beside this package's manifest.
#[derive(Debug)]
pub struct Record {
    name: &'static str,
}

impl Record {
    /// The one of this name, which is also that of the program that counts.
    pub const fn new(name: &'static str) -> Self {
        Self { name }
    }

    fn path(&self) -> PathBuf {
        [env!("CARGO_MANIFEST_DIR"), "counts", &format!("{}.txt", self.name)].iter().collect()
    }

    /// What is checked in.
    pub fn read(&self) -> Result<Counts> {
        let path = self.path();
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        parse(&text)
    }

    /// Puts these in the place of what is checked in.
    pub fn accept(&self, counts: &Counts) -> Result<()> {
        let name = self.name;
        let mut text = format!(
            "# What `{name}` counts. To accept a change:\n# cargo run --release -p footbridge-benches --bin {name} -- --accept\n"
        );
        for (name, count) in counts {
            writeln!(text, "{name} {count:.2}")?;
        }
        Ok(std::fs::write(self.path(), text)?)
    }

    /// Compares; the error names every count that differs, and how to accept it.
    pub fn check(&self, counts: &Counts) -> Result<()> {
        self.compare(&self.read()?, counts)
    }

    /// The same, where not everything was counted.
    pub fn check_part(&self, counts: &Counts) -> Result<()> {
        let mut accepted = self.read()?;
        accepted.retain(|name, _| counts.contains_key(name));
        self.compare(&accepted, counts)
    }

    fn compare(&self, accepted: &Counts, counts: &Counts) -> Result<()> {
        let differences = differences(accepted, counts);
        if differences.is_empty() {
            return Ok(());
        }
        let name = self.name;
        Err(format!(
            "these counts differ from benches/counts/{name}.txt by more than {:.0} %:\n{}\nto accept them: cargo run --release -p footbridge-benches --bin {name} -- --accept",
            MARGIN * 100.0,
            differences.join("\n")
        )
        .into())
    }
}

fn parse(text: &str) -> Result<Counts> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let count = |line: &str| {
        let (name, number) = line.split_once(' ').ok_or(format!("no count: {line:?}"))?;
        Ok((name.to_owned(), number.parse()?))
    };
    lines.map(count).collect()
}

/// In words, what is more than the margin away, missing or new.
fn differences(accepted: &Counts, counts: &Counts) -> Vec<String> {
    let names: std::collections::BTreeSet<_> = accepted.keys().chain(counts.keys()).collect();
    let differs = |name: &&String| match (accepted.get(*name), counts.get(*name)) {
        (Some(before), Some(now)) => {
            let is_near = (now - before).abs() <= before.abs() * MARGIN + SLACK;
            (!is_near).then(|| format!("{name}: {before:.2}, now {now:.2}"))
        }
        (Some(_), None) => Some(format!("{name}: is no longer counted")),
        (None, now) => Some(format!("{name}: is new, {:.2}", now.copied().unwrap_or_default())),
    };
    names.iter().filter_map(differs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str) -> Counts {
        parse(text).expect("counts")
    }

    #[test]
    fn what_is_beyond_the_margin_missing_or_new_is_named() {
        let accepted = counts("# words\nnear 100\nfar 100\nnone 0\nless 100\ngone 1\n");
        let now = counts("near 102.9\nfar 104\nnone 0.04\nless 50\nnew 2\n");
        let found = differences(&accepted, &now);
        assert_eq!(
            found,
            [
                "far: 100.00, now 104.00",
                "gone: is no longer counted",
                "less: 100.00, now 50.00",
                "new: is new, 2.00"
            ]
        );
        assert_eq!(differences(&accepted, &accepted), [""; 0]);
    }
}
