// SPDX-License-Identifier: GPL-2.0
//! Tests of the devices and what is known of them.

use super::*;

/// A disk of 64 KiB, in a file.
fn disks(dir: &std::path::Path) -> Disks {
    let path = dir.join("disk");
    std::fs::write(&path, vec![0; 64 << 10]).unwrap();
    let device = || {
        let open = || device::open(&path, How::new(Access::Rw, false)).unwrap();
        Device {
            path: path.clone(),
            direct: open(),
            buffered: open(),
        }
    };
    Disks {
        devices: vec![device()],
        places: vec![Place {
            disk: 0,
            start: 0,
            len: 128,
            block: 1,
        }],
        disks: vec![Disk {
            queue: dir.into(),
            tags: vec![0; 128],
            cached: None,
            can_copy: true,
        }],
        buffer: AlignedBuf::new(BUFFER),
        want: vec![0; BUFFER],
        last_tag: 0,
    }
}

const RANGE: Range = Range { start: 10, len: 20 };

#[test]
fn what_was_written_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut disks = disks(dir.path());
    disks.write(0, RANGE, true).unwrap();
    disks.check_all(false).unwrap();
    disks.check(0, &[RANGE], true).unwrap();
    let file = File::options().write(true).open(dir.path().join("disk"));
    file.unwrap().write_all_at(b"x", 30 * 512 + 7).unwrap();
    // The sector behind the range.
    let text = format!("{:#}", disks.check(0, &[RANGE], false).unwrap_err());
    assert!(text.contains("mismatch at 15367"), "{text}");
}

#[test]
fn a_copy_moves_what_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let mut disks = disks(dir.path());
    disks.write(0, RANGE, false).unwrap();
    let from = [Range { start: 12, len: 2 }, Range { start: 10, len: 1 }];
    let to = [Range { start: 60, len: 1 }, Range { start: 50, len: 2 }];
    let tags = disks.gather(0, &from);
    assert_eq!(tags, [3, 4, 1]);
    disks.scatter(0, &to, &tags);
    assert_eq!(
        disks.gather(0, &[Range { start: 49, len: 4 }]),
        [0, 4, 1, 0]
    );
    assert!(disks.check(0, &to, false).is_err());
}

#[test]
fn a_copy_that_stopped_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let mut disks = disks(dir.path());
    disks.write(0, RANGE, false).unwrap();
    let old = disks.gather(0, &[RANGE]);
    let mut new = old.clone();
    new[19] = 77;
    // The last one is still the old one.
    assert!(disks.accept_torn(0, &[RANGE], &new, 20).is_err());
    disks.accept_torn(0, &[RANGE], &new, 19).unwrap();
    assert_eq!(disks.gather(0, &[RANGE]), old);
    disks.scatter(0, &[RANGE], &new);
    // Neither.
    assert!(disks.accept_torn(0, &[RANGE], &new, 0).is_err());
}

#[test]
fn a_part_is_told_from_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut disks = disks(dir.path());
    for (start, len) in [(100, 28), (0, 64), (0, 128)] {
        disks.places[0] = Place {
            start,
            len,
            ..disks.places[0].clone()
        };
        disks.places.push(disks.places[0].clone());
    }
    let parts: Vec<_> = (0..4).map(|dev| disks.is_part(dev)).collect();
    assert_eq!(parts, [false, true, true, false]);
}
