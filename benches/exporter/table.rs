//! The Markdown table of all results.

use std::fmt;

/// The aim for a result.
#[derive(Clone, Copy, Debug)]
pub enum Aim {
    /// The value is at most this.
    AtMost(f64),
    /// The value is at least this.
    AtLeast(f64),
    /// No aim.
    None,
}

#[derive(Debug)]
struct Row {
    what: String,
    here: String,
    there: String,
    ratio: String,
    aim: String,
}

/// Rows of results, in the order of measurement.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Adds a comparison. The ratio is the exporter's value relative to the other.
    pub fn compare(&mut self, what: &str, unit: &str, here: f64, there: f64, aim: Aim) {
        let ratio = here / there;
        self.rows.push(Row {
            what: what.to_owned(),
            here: format!("{} {unit}", short(here)),
            there: format!("{} {unit}", short(there)),
            ratio: short(ratio),
            aim: judged(aim, ratio),
        });
    }

    /// Adds a comparison. The ratio is the factor by which the exporter is faster.
    pub fn faster(&mut self, what: &str, unit: &str, here: f64, there: f64, aim: Aim) {
        let ratio = there / here;
        self.rows.push(Row {
            what: what.to_owned(),
            here: format!("{} {unit}", short(here)),
            there: format!("{} {unit}", short(there)),
            ratio: format!("{}× faster", short(ratio)),
            aim: judged(aim, ratio),
        });
    }

    /// Adds a single value.
    pub fn figure(&mut self, what: &str, unit: &str, here: f64, aim: Aim) {
        self.rows.push(Row {
            what: what.to_owned(),
            here: format!("{} {unit}", short(here)),
            there: String::new(),
            ratio: String::new(),
            aim: judged(aim, here),
        });
    }
}

fn judged(aim: Aim, value: f64) -> String {
    let (text, met) = match aim {
        Aim::AtMost(most) => (format!("≤ {most}"), value <= most),
        Aim::AtLeast(least) => (format!("≥ {least}"), value >= least),
        Aim::None => return String::new(),
    };
    if met { text } else { format!("{text}, missed") }
}

/// Formats a value with three significant digits.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "| what | here | compared to | ratio | aim |")?;
        writeln!(formatter, "| --- | ---: | ---: | ---: | --- |")?;
        for row in &self.rows {
            let Row {
                what,
                here,
                there,
                ratio,
                aim,
            } = row;
            writeln!(formatter, "| {what} | {here} | {there} | {ratio} | {aim} |")?;
        }
        Ok(())
    }
}
