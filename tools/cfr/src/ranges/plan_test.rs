// SPDX-License-Identifier: GPL-2.0
//! Tests of the plan.

use super::*;

fn plan(seed: u64) -> Plan {
    let place = |disk, start, len, block| Place {
        disk,
        start,
        len,
        block,
    };
    let places = vec![
        place(0, 0, 65536, 1),
        place(0, 2049, 20000, 1),
        place(0, 30000, 20001, 1),
        place(1, 0, 65536, 8),
    ];
    Plan::new(seed, places, vec![Mode::Offload, Mode::Onload, Mode::Auto])
}

fn copies(seed: u64, number: usize) -> (Plan, Vec<Copy>) {
    let mut plan = plan(seed);
    let mut list = Vec::new();
    while list.len() < number {
        if let Operation::Copy(copy) = plan.next() {
            list.push(copy);
        }
    }
    (plan, list)
}

#[test]
fn the_seed_decides() {
    assert_eq!(
        format!("{:?}", copies(1, 50).1),
        format!("{:?}", copies(1, 50).1)
    );
    assert_ne!(
        format!("{:?}", copies(1, 50).1),
        format!("{:?}", copies(2, 50).1)
    );
}

#[test]
fn every_kind_of_copy_is_tried() {
    let (plan, list) = copies(3, 5000);
    let (mut fine, mut refused, mut unsupported) = (0, 0, 0);
    for copy in &list {
        match plan.expected(copy, &[true, true]) {
            Ok(()) => fine += 1,
            Err(Errno::EINVAL) => refused += 1,
            Err(_) => unsupported += 1,
        }
    }
    assert!(fine > 3000, "{fine}");
    assert!(refused > 200, "{refused}");
    assert!(unsupported > 300, "{unsupported}");
    let several = |copy: &&Copy| copy.from.len() > 2 && copy.to.len() > 2;
    assert!(list.iter().filter(several).count() > 1000);
    assert!(list.iter().any(|copy| copy.from.len() > 256));
    assert!(list.iter().any(|copy| total(&copy.from) == 1));
    assert!(list.iter().any(|copy| total(&copy.from) > 8000));
    for how in ["offload", "offload,async", "onload,async,pool", "auto,pool"] {
        assert!(list.iter().any(|copy| copy.how == how), "{how}");
    }
}

#[test]
fn destinations_do_not_overlap() {
    let (plan, list) = copies(4, 1000);
    let fine = |copy: &&Copy| plan.expected(copy, &[true, true]).is_ok();
    for copy in list.iter().filter(fine) {
        assert_eq!(total(&copy.from), total(&copy.to));
        let mut to = copy.to.clone();
        to.sort_by_key(|range| range.start);
        assert!(to.windows(2).all(|pair| pair[0].end() <= pair[1].start));
    }
}

#[test]
fn knows_what_the_kernel_must_answer() {
    let plan = plan(5);
    let range = |start, len| Range { start, len };
    let copy = Copy {
        mode: Mode::Offload,
        how: String::new(),
        src: 0,
        dst: 1,
        from: vec![range(0, 8), range(64, 4)],
        to: vec![range(1, 12)],
    };
    let with = |change: fn(&mut Copy)| {
        let mut copy = copy.clone();
        change(&mut copy);
        plan.expected(&copy, &[true, false])
    };
    assert_eq!(with(|_| ()), Ok(()));
    assert_eq!(with(|copy| copy.from[1].len = 5), Err(Errno::EINVAL));
    assert_eq!(with(|copy| copy.from[0].len = 0), Err(Errno::EINVAL));
    // The partition starts at 2049 of the disk.
    assert_eq!(with(|copy| copy.from[0].start = 2042), Ok(()));
    assert_eq!(with(|copy| copy.from[0].start = 2043), Err(Errno::EINVAL));
    assert_eq!(with(|copy| copy.to[0].start = 19988), Ok(()));
    assert_eq!(with(|copy| copy.to[0].start = 19989), Err(Errno::EINVAL));
    // Another disk, and one that may not copy.
    let other = |copy: &mut Copy| (copy.dst, copy.to[0].start) = (3, 0);
    assert_eq!(with(other), Err(Errno::EINVAL));
    let aligned = |copy: &mut Copy| {
        (copy.dst, copy.to[0].start) = (3, 0);
        (copy.from[1].len, copy.to[0].len) = (8, 16);
    };
    assert_eq!(with(aligned), Err(Errno::EOPNOTSUPP));
    let onload = |copy: &mut Copy| {
        (copy.dst, copy.to[0].start, copy.mode) = (3, 0, Mode::Onload);
        (copy.from[1].len, copy.to[0].len) = (8, 16);
    };
    assert_eq!(with(onload), Ok(()));
}
