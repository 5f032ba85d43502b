// SPDX-License-Identifier: GPL-2.0
//! What was measured, as data for programs and as tables for people.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use crate::measure::Measured;
use crate::ratio::{spread, Ratio};
use crate::way::words;

/// Characters of the longest bar.
const BAR: usize = 16;

/// Everything.
#[derive(Debug, Serialize)]
pub struct Report {
    pub kernel: String,
    pub repeat: u32,
    pub benchmarks: Vec<Entry>,
}

/// One benchmark, or why there is none.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Entry {
    Result(Box<Benchmark>),
    Error { name: String, error: String },
}

/// One benchmark.
#[derive(Debug, Serialize)]
pub struct Benchmark {
    pub name: &'static str,
    /// What was done, in a line.
    pub title: String,
    pub bytes: u64,
    pub variants: Vec<Measured>,
    pub ratios: Vec<Ratio>,
    /// More that follows from the numbers.
    pub notes: Vec<String>,
}

impl Report {
    /// Tables, and what follows from them.
    pub fn human(&self) -> String {
        let mut text = format!(
            "Linux {}, medians of {} interleaved runs (least … largest)\n",
            self.kernel, self.repeat
        );
        for entry in &self.benchmarks {
            text += "\n";
            match entry {
                Entry::Result(benchmark) => text += &benchmark.human(),
                Entry::Error { name, error } => text += &format!("{name}: NO RESULT: {error}\n"),
            }
        }
        text
    }
}

impl Benchmark {
    fn human(&self) -> String {
        let mut text = format!("{}: {}\n{}\n", self.name, self.title, self.table());
        for line in self
            .ratios
            .iter()
            .map(Ratio::text)
            .chain(self.notes.iter().cloned())
        {
            text += &format!("  {line}\n");
        }
        text
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header(["way", "time", "spread", "rate", "", "evidence"]);
        for column in table.column_iter_mut().skip(1).take(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let longest = self
            .variants
            .iter()
            .map(|way| way.median_seconds)
            .fold(0.0, f64::max);
        for way in &self.variants {
            let (least, largest) = spread(&way.seconds);
            table.add_row([
                way.label.clone(),
                time(way.median_seconds),
                format!("{} … {}", time(least), time(largest)),
                rate(way.bytes_per_second),
                bar(way.median_seconds / longest),
                words(way.copies, &way.counted),
            ]);
        }
        table
    }
}

fn time(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1000.0)
    } else {
        format!("{seconds:.2} s")
    }
}

fn rate(bytes_per_second: f64) -> String {
    let mib = bytes_per_second / f64::from(1 << 20);
    if mib < 1024.0 {
        format!("{mib:.0} MiB/s")
    } else {
        format!("{:.2} GiB/s", mib / 1024.0)
    }
}

/// A bar of a length from 0 to 1, exact to the eighth of a character.
fn bar(fraction: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = fraction.clamp(0.0, 1.0) * (BAR * 8) as f64;
    // From 0 to 128.
    let eighths = eighths.round() as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counted;
    use crate::ratio::Target;
    use crate::way::Way;
    use evidence::activity::Tally;

    fn way(label: &str, seconds: &[f64], requests: u64) -> Measured {
        let bytes = 64 << 20;
        Measured {
            label: label.into(),
            way: Way::Offload {
                command: bytes / requests,
            },
            median_seconds: seconds[0],
            bytes_per_second: bytes as f64 / seconds[0],
            seconds: seconds.into(),
            copies: Tally { requests, bytes },
            counted: Counted::default(),
        }
    }

    fn report() -> Report {
        let variants = vec![
            way("4 KiB", &[0.04, 0.05], 16384),
            way("1 MiB", &[0.02, 0.02], 64),
        ];
        let times: (&[f64], &[f64]) = (&variants[0].seconds, &variants[1].seconds);
        let sentence = String::from("4 KiB takes {} as long as 1 MiB");
        let ratios = vec![Ratio::new(
            "time",
            sentence,
            times,
            Some(Target::AtMost(2.0)),
        )];
        let chunk = Benchmark {
            name: "chunk",
            title: "64 MiB".into(),
            bytes: 64 << 20,
            variants,
            ratios,
            notes: vec!["1 ns for each".into()],
        };
        let (name, error) = ("onload".into(), "no module".into());
        Report {
            kernel: "7.3.4".into(),
            repeat: 2,
            benchmarks: vec![Entry::Result(Box::new(chunk)), Entry::Error { name, error }],
        }
    }

    #[test]
    fn a_table_for_people() {
        let text = report().human();
        for part in [
            "│ 4 KiB ┆ 40.0 ms ┆ 40.0 ms … 50.0 ms ┆ 1.56 GiB/s ┆ ████████████████ ┆",
            "┆ ████████         ┆ 64 copies, nothing read    │",
            "4 KiB takes 2.25 x as long as 1 MiB (2.00 … 2.50); target: at most 2.0, MISSED",
            "  1 ns for each\n",
            "onload: NO RESULT: no module\n",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn an_object_for_programs() {
        let value = serde_json::to_value(report()).unwrap();
        let chunk = &value["benchmarks"][0];
        assert_eq!(chunk["ratios"][0]["met"], false);
        assert_eq!(chunk["ratios"][0]["target"]["at_most"], 2.0);
        assert_eq!(chunk["variants"][0]["copies"]["requests"], 16384);
        assert_eq!(chunk["variants"][0]["way"]["offload"]["command"], 4096);
        assert_eq!(value["benchmarks"][1]["error"], "no module");
    }

    #[test]
    fn bars() {
        assert_eq!(bar(0.0), "");
        assert_eq!(bar(1.0), "█".repeat(BAR));
        assert_eq!(bar(7.0), "█".repeat(BAR));
        assert_eq!(bar(1.0 / 128.0), "▏");
        assert_eq!(bar(0.5 + 1.0 / 32.0), "█".repeat(BAR / 2) + "▌");
        assert_eq!(bar(f64::NAN), "");
    }

    #[test]
    fn numbers() {
        assert_eq!(
            (time(0.0123), time(2.5)),
            ("12.3 ms".into(), "2.50 s".into())
        );
        assert_eq!(rate(1048576.0 * 512.0), "512 MiB/s");
        assert_eq!(rate(1048576.0 * 2048.0), "2.00 GiB/s");
    }
}
