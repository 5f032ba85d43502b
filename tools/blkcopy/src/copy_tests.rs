// SPDX-License-Identifier: GPL-2.0
use super::*;
use crate::cli::Cli;
use crate::failure::exit_code;
use clap::Parser;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use tempfile::TempDir;

/// Two files in a folder; what the device-free parts can be tried with.
struct Bench {
    dir: TempDir,
    stop: AtomicBool,
}

impl Bench {
    fn new(len: usize) -> Self {
        let bench = Self {
            dir: tempfile::tempdir().unwrap(),
            stop: AtomicBool::new(false),
        };
        let bytes: Vec<u8> = (0..len).map(|i| u8::try_from(i % 253).unwrap()).collect();
        fs::write(bench.path("src"), bytes).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, options: &str) -> (Result<()>, Report) {
        let paths = [
            "blkcopy".into(),
            self.path("src").into_os_string(),
            self.path("dst").into_os_string(),
        ];
        let args = paths
            .into_iter()
            .chain(options.split_whitespace().map(Into::into));
        let copy = Cli::try_parse_from(args).unwrap().copy.unwrap();
        let mut report = Report::new("src".into(), "dst".into());
        let result = run(&copy, &Sysfs::default(), &self.stop, &mut report);
        (result, report)
    }
}

#[test]
fn a_new_file_is_made_and_verified() {
    let bench = Bench::new(3_000_001);
    let (result, report) = bench.run("--verify --chunk 100000 --jobs 3");
    result.unwrap();
    assert_eq!((report.bytes, report.verified), (3_000_001, Some(true)));
    assert!(report.resume.is_none());
    assert_eq!(
        fs::read(bench.path("src")).unwrap(),
        fs::read(bench.path("dst")).unwrap()
    );
}

#[test]
fn an_existing_file_is_not_truncated() {
    let bench = Bench::new(1000);
    fs::write(bench.path("dst"), vec![9; 500]).unwrap();
    bench
        .run("--src-offset 10 --dst-offset 20 --length 30")
        .0
        .unwrap();
    let (src, dst) = (
        fs::read(bench.path("src")).unwrap(),
        fs::read(bench.path("dst")).unwrap(),
    );
    assert_eq!(dst.len(), 500);
    assert_eq!(dst[20..50], src[10..40]);
    assert!(dst[..20].iter().chain(&dst[50..]).all(|&b| b == 9));
}

#[test]
fn nothing_is_made_when_refused() {
    let bench = Bench::new(1000);
    for options in [
        "--length 2000",
        "--engine io_uring",
        "--require-offload",
        "--require-offload --engine copy_file_range",
    ] {
        let (result, report) = bench.run(options);
        assert_eq!(exit_code(&result.unwrap_err()), 3, "{options}");
        assert_eq!(report.bytes, 0);
        assert!(!bench.path("dst").exists(), "{options}");
    }
}

#[test]
fn a_stop_tells_how_to_go_on() {
    let bench = Bench::new(1000);
    bench.stop.store(true, Ordering::Relaxed);
    let (result, report) = bench.run("--src-offset 100 --dst-offset 7");
    let err = result.unwrap_err();
    assert_eq!(exit_code(&err), 130);
    let resume = report.resume.unwrap();
    assert!(err.to_string().ends_with(&resume.command), "{err}");
    assert!(
        resume
            .command
            .contains("--src-offset 100 --dst-offset 7 --length 900"),
        "{err}"
    );
    let rest = Rest::Copy {
        src_offset: 100,
        dst_offset: 7,
        length: 900,
    };
    assert_eq!(resume.rest, rest);
}

#[test]
fn odd_ends_are_refused() {
    let bench = Bench::new(10);
    fs::create_dir(bench.path("dst")).unwrap();
    assert_eq!(exit_code(&bench.run("").0.unwrap_err()), 3);
    let typo = Endpoint::destination("/dev/no-such-disk".as_ref(), &Sysfs::default());
    assert_eq!(exit_code(&typo.unwrap_err()), 3);
    let missing = Endpoint::existing(&bench.path("none"), &Sysfs::default());
    assert_eq!(exit_code(&missing.unwrap_err()), 1);
}

#[test]
fn a_file_onto_itself_is_an_overlap() {
    let bench = Bench::new(1000);
    fs::hard_link(bench.path("src"), bench.path("dst")).unwrap();
    let err = bench.run("--dst-offset 999").0.unwrap_err();
    assert!(err.to_string().contains("same file"), "{err}");
    bench.run("--dst-offset 1000").0.unwrap();
    assert_eq!(fs::metadata(bench.path("src")).unwrap().len(), 2000);
}
