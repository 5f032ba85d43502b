// SPDX-License-Identifier: GPL-2.0
//! What is made of a report.

use std::fs;
use std::fs::OpenOptions;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;
use clap::Args;
use copyreport::Report;

use crate::ui;

/// Standard output.
const STDOUT: &str = "-";

/// Where a report goes.
#[derive(Args, Clone, Debug, Default)]
pub struct Files {
    /// Write a page with plots, tables and the data: it needs no network.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write all of it as JSON; `-` is standard output, which then has no tables.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a line for each timed run.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write the plot of the first benchmark.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

impl Files {
    /// Each file, and what makes it.
    fn each(&self) -> impl Iterator<Item = (&Path, fn(&Report) -> Result<String>)> {
        let html = (
            self.html.as_deref(),
            copyreport::html::page as fn(&Report) -> _,
        );
        [
            html,
            (self.json.as_deref(), Report::json),
            (self.csv.as_deref(), copyreport::csv::write),
            (self.svg.as_deref(), copyreport::plot::headline),
        ]
        .into_iter()
        .filter_map(|(path, make)| Some((path?, make)))
    }

    /// Whether all of them can be written, before hours are spent on what goes into them.
    pub fn check(&self) -> Result<()> {
        for (path, _) in self.each().filter(|(path, _)| *path != Path::new(STDOUT)) {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// Writes them, and shows tables if nothing else is shown.
    pub fn write(&self, report: &Report) -> Result<()> {
        let mut shown = false;
        for (path, make) in self.each() {
            let text = make(report)?;
            if path == Path::new(STDOUT) {
                print!("{text}");
                shown = true;
                continue;
            }
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
            ui::note(&format!("wrote {}", path.display()));
        }
        if !shown {
            println!("{}", report.human());
        }
        Ok(())
    }
}

/// Reads a report.
pub fn read(path: &Path) -> Result<Report> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Report::parse(&text).with_context(|| format!("cannot use {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            schema: copyreport::SCHEMA,
            kernel: String::from("7.3"),
            repeat: 1,
            machine: None,
            benchmarks: Vec::new(),
        }
    }

    #[test]
    fn files_are_written_and_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| Some(dir.path().join(name));
        let files = Files {
            html: path("a.html"),
            json: path("a.json"),
            csv: path("a.csv"),
            svg: None,
        };
        files.check().unwrap();
        files.write(&report()).unwrap();
        assert_eq!(read(&dir.path().join("a.json")).unwrap(), report());
        let page = fs::read_to_string(dir.path().join("a.html")).unwrap();
        assert!(page.starts_with("<!DOCTYPE html>"));
    }

    #[test]
    fn what_cannot_be_written_is_known_before() {
        let files = Files {
            csv: Some(PathBuf::from("/no/such/folder/a.csv")),
            ..Files::default()
        };
        assert!(files.check().is_err());
        assert!(read(Path::new("/no/such/file")).is_err());
    }
}
