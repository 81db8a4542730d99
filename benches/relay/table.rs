//! What the bench prints.

/// The lines, in the order they were measured.
#[derive(Debug, Default)]
pub(crate) struct Table {
    verdicts: Vec<String>,
}

/// A target.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// Shown only.
    None,
}

impl Table {
    /// A heading, shown at once.
    pub(crate) fn section(&mut self, title: &str) {
        self.both(&format!("\n{title}"));
    }

    /// A figure that has no target.
    pub(crate) fn note(&mut self, text: &str) {
        self.both(&format!("  {text}"));
    }

    /// A figure beside its target.
    pub(crate) fn line(&mut self, name: &str, measured: f64, unit: &str, bound: Bound) {
        let (target, verdict) = match bound {
            Bound::AtLeast(least) => (format!("≥ {least} {unit}"), verdict(measured >= least)),
            Bound::AtMost(most) => (format!("≤ {most} {unit}"), verdict(measured <= most)),
            Bound::None => (String::new(), ""),
        };
        let digits = if measured.abs() < 10.0 { 3 } else { 1 };
        let measured = format!("{measured:.digits$} {unit}");
        self.both(&format!("  {name:<64}{target:>12}{measured:>14}  {verdict}"));
    }

    /// The whole table once more, without what came between.
    pub(crate) fn print(&self) {
        say("\n\n== cargo bench --bench relay: ratios of one run ==");
        for line in &self.verdicts {
            say(line);
        }
    }

    fn both(&mut self, line: &str) {
        say(line);
        self.verdicts.push(line.to_owned());
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

/// The middle one; zero of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "a bench prints its table")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
