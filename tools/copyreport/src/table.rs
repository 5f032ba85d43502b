// SPDX-License-Identifier: GPL-2.0
//! Tables for a terminal.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use crate::stats::spread;
use crate::units::{count, rate, size, time};
use crate::{Benchmark, Entry, Ratio, Report};

/// Characters of the longest bar.
const BAR: usize = 16;

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
        let ratios = self.ratios.iter().map(Ratio::text);
        for line in ratios.chain(self.notes.iter().cloned()) {
            text += &format!("  {line}\n");
        }
        text
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header([
            "way",
            "time",
            "spread",
            "rate",
            "",
            "switches",
            "in memory",
            "evidence",
        ]);
        for column in [1, 2, 3, 5, 6] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let fastest = self.variants.iter().map(|way| way.bytes_per_second);
        let fastest = fastest.fold(0.0, f64::max);
        for way in &self.variants {
            let (least, largest) = spread(&way.seconds);
            table.add_row([
                way.label.clone(),
                time(way.median_seconds),
                format!("{} … {}", time(least), time(largest)),
                rate(way.bytes_per_second),
                bar(way.bytes_per_second / fastest),
                count(way.cost.context_switches),
                size(way.cost.in_memory),
                way.evidence.clone(),
            ]);
        }
        table
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
    use crate::samples;

    #[test]
    fn a_table_for_people() {
        let text = samples::report().human();
        for part in [
            "│ 4 KiB ┆ 40.0 ms ┆ 40.0 ms … 50.0 ms ┆ 1.56 GiB/s ┆ ████████         ┆",
            "┆ ████████████████ ┆        7 ┆       0 B ┆ 64 copies, nothing read    │",
            "as 1 MiB (2.00 … 2.50); goal: at most 1.5, MISSED: a command has <its> price",
            "  1 ns for each\n",
            "onload: NO RESULT: no module\n",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
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
}
