//! Metrics in the text format of Prometheus (Y-6).

use std::fmt::Write as _;

/// What a metric's value does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until the program starts again.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// Metrics being written.
#[derive(Clone, Debug)]
pub struct Metrics {
    prefix: &'static str,
    text: String,
}

impl Metrics {
    /// No metrics yet; the names of all begin with `prefix`.
    pub const fn new(prefix: &'static str) -> Self {
        Self { prefix, text: String::new() }
    }

    /// One metric, with a value for each value of its label. One without a label has an empty name for
    /// it, and one value. Labels' values are the program's own: nothing is escaped.
    pub fn add(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        label: &str,
        values: &[(impl AsRef<str>, u64)],
    ) {
        let Self { prefix, text } = self;
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        // A string takes whatever is written to it.
        let _ = writeln!(text, "# HELP {prefix}{name} {help}\n# TYPE {prefix}{name} {word}");
        for (of, value) in values {
            let of = of.as_ref();
            debug_assert!(!of.contains(['"', '\\', '\n']), "it would need escaping");
            let _ = match label {
                "" => writeln!(text, "{prefix}{name} {value}"),
                _ => writeln!(text, "{prefix}{name}{{{label}=\"{of}\"}} {value}"),
            };
        }
    }

    /// All of them.
    pub fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_has_its_help_its_type_and_a_line_for_each_value() {
        let mut metrics = Metrics::new("a_");
        metrics.add(Kind::Gauge, "b", "How many.", "", &[("", 2)]);
        metrics.add(Kind::Counter, "c_total", "Ends.", "how", &[("well", 3), ("badly", 0)]);
        let expected = "# HELP a_b How many.\n# TYPE a_b gauge\na_b 2\n\
             # HELP a_c_total Ends.\n# TYPE a_c_total counter\n\
             a_c_total{how=\"well\"} 3\na_c_total{how=\"badly\"} 0\n";
        assert_eq!(metrics.into_text(), expected);
    }
}
