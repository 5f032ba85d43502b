// SPDX-License-Identifier: GPL-2.0
use super::*;

const TRACE: &str = "\
# tracer: nop
#
# entries-in-buffer/entries-written: 5/5   #P:1
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
        copydemo-33      [000] .....     1.000001: nullb_copy_op: disk=nullb0, req=COPY_DST       : dst=8192, src=0, len=4096
        copydemo-33      [000] ...1.     1.000002: block_rq_issue: 250,0 CWS 4096 () 16 + 8 none,0,0 [copydemo]
        copydemo-33      [000] .....     1.000003: nullb_copy_op: disk=nullb0, req=COPY_DST       : dst=12288, src=4096, len=512
        copydemo-33      [000] .....     1.000003: nullb_copy_op: disk=nullb01, req=COPY_DST       : dst=0, src=0, len=512
    kworker/0:1H-9       [000] .....     1.000004: block_rq_issue: 250,0 RS 65536 () 2048 + 128 none,0,0 [kworker/0:1H]
    kworker/0:1H-9       [000] .....     1.000005: block_rq_issue: 250,0 FWFS 512 () 2048 + 1 be,0,4 [kworker/0:1H]
    kworker/0:1H-9       [000] .....     1.000005: block_rq_issue: 250,0 FF 0 () 0 + 0 none,0,0 [kworker/0:1H]
    kworker/0:1H-9       [000] .....     1.000006: block_rq_issue: 250,1 W 512 () 2048 + 1 none,0,0 [kworker/0:1H]
    kworker/0:1H-9       [000] .....     1.000006: block_rq_complete: 250,0 R () 2048 + 1 none,0,0 [0]
";

fn subject(name: &str, driver: Driver) -> Subject {
    Subject {
        name: name.into(),
        driver,
        dev: "250:0".parse().unwrap(),
        block: 512,
    }
}

fn activity() -> Activity {
    Activity::of(TRACE.as_bytes(), &subject("nullb0", Driver::NullBlk)).unwrap()
}

fn tally(requests: u64, bytes: u64) -> Tally {
    Tally { requests, bytes }
}

#[test]
fn counts_one_disk() {
    let activity = activity();
    assert_eq!(activity.copy, tally(2, 4608));
    assert_eq!(activity.read, tally(1, 65536));
    assert_eq!(activity.write, tally(1, 512));
    assert_eq!(activity.other, tally(1, 0));
    assert_eq!(activity.crossed_memory(), 66048);
    assert_eq!(activity.largest_copy(), 4096);
    let other = subject("nullb", Driver::NullBlk);
    let other = Activity::of(TRACE.as_bytes(), &other).unwrap();
    assert_eq!(other.copy, Tally::default());
}

#[test]
fn coverage_is_exact() {
    let activity = activity();
    assert!(activity.covers(0, 8192, 4608));
    assert!(!activity.covers(0, 8192, 4096));
    assert!(!activity.covers(0, 8192, 8192));
    assert!(!activity.covers(512, 8192, 4608));
    assert!(Activity::default().covers(0, 0, 0));
    let mut twice = activity.clone();
    twice.copies.push(twice.copies[0]);
    assert!(!twice.covers(0, 8192, 4608));
    let mut reversed = activity;
    reversed.copies.reverse();
    assert!(reversed.covers(0, 8192, 4608));
}

#[test]
fn letters() {
    for (rwbs, expected) in [
        ("R", Kind::Read),
        ("RA", Kind::Read),
        ("WFS", Kind::Write),
        ("FWS", Kind::Write),
        ("CW", Kind::Copy),
        ("CRS", Kind::Copy),
        ("WZ", Kind::Other),
        ("D", Kind::Other),
        ("ZR", Kind::Other),
        ("FF", Kind::Other),
        ("N", Kind::Other),
    ] {
        assert_eq!(kind(rwbs), expected, "{rwbs}");
    }
}

#[test]
fn other_lines() {
    for line in [
        "",
        "# comment",
        "x: block_rq_issue: ",
        "x: nullb_copy_op: disk=a",
        "x: nvme_setup_cmd: nvme0: qid=0, cmd=(nvme_admin_get_log_page lid=2)",
        "x: sched_switch: y",
    ] {
        assert_eq!(parse(line), None, "{line}");
    }
}

fn nvme(disk: &str, command: &str) -> String {
    format!(
        " cb-33 [000] ..... 1.01: nvme_setup_cmd: nvme0: disk={disk}, qid=1, cmdid=1, nsid=1, \
         flags=0x0, meta=0x0, cmd=({command}, ctrl=0x0, dsmgmt=0, reftag=0)\n"
    )
}

fn nvme_copies(places: &[u64]) -> String {
    let copy = |place: &u64| {
        nvme(
            "nvme0n1",
            &format!("nvme_cmd_copy sdlba={place}, nr_range=7"),
        )
    };
    places.iter().map(copy).collect()
}

fn nvme_activity(text: &str) -> Result<Activity> {
    Activity::of(text.as_bytes(), &subject("nvme0n1", Driver::Nvme))
}

#[test]
fn nvme_commands_are_counted() {
    let text = nvme_copies(&[16])
        + &nvme("nvme0n1", "nvme_cmd_read slba=0, len=7")
        + &nvme("nvme0n1", "nvme_cmd_write slba=9, len=0")
        + &nvme("nvme0n1", "nvme_cmd_flush cdw10=00 00")
        + &nvme("nvme0n11", "nvme_cmd_copy sdlba=9, nr_range=0")
        + " cb-33 [000] ..... 1.02: block_rq_issue: 250,0 CWS 8192 () 16 + 16 none,0,0 [cb]\n"
        + " cb-33 [000] ..... 1.02: block_rq_issue: 250,0 R 4096 () 0 + 8 none,0,0 [cb]\n";
    let activity = nvme_activity(&text).unwrap();
    assert_eq!((activity.copy, activity.ranges), (tally(1, 8192), 8));
    assert_eq!(
        (activity.read, activity.write),
        (tally(1, 4096), tally(1, 512))
    );
    assert_eq!(activity.other, tally(1, 0));
    assert!(activity.covers(0, 8192, 8192) && activity.covers(512, 8192, 8192));
    assert!(!activity.covers(0, 8704, 8192));
}

#[test]
fn copy_commands_of_a_program_say_how_long_they_are() {
    let parse = |places: &[u64]| nvme_activity(&nvme_copies(places)).map(|found| found.copy);
    assert_eq!(parse(&[16, 0, 8]).unwrap(), tally(3, 3 * 4096));
    assert_eq!(parse(&[]).unwrap(), Tally::default());
    for wrong in [&[16, 0, 0][..], &[16, 0, 7], &[8, 8], &[8]] {
        assert!(parse(wrong).is_err(), "{wrong:?}");
    }
}
