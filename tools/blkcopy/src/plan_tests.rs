// SPDX-License-Identifier: GPL-2.0
use super::*;
use proptest::prelude::*;

fn disk(minor: u32, size: u64) -> End {
    End {
        name: format!("/dev/disk{minor}"),
        space: Space::Disk { major: 250, minor },
        base: 0,
        size: Some(size),
        align: 512,
    }
}

fn partition(minor: u32, base: u64, size: u64) -> End {
    End {
        name: format!("/dev/disk{minor}p1"),
        base,
        ..disk(minor, size)
    }
}

fn wish(src_offset: u64, dst_offset: u64, length: u64) -> Wish {
    Wish {
        src_offset,
        dst_offset,
        length: Some(length),
        chunk: None,
    }
}

fn refusal(wish: Wish, src: &End, dst: &End) -> String {
    match plan(wish, src, dst) {
        Err(Failure::Refused(text)) => text,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn length_defaults_to_the_rest_of_the_source() {
    let wish = Wish {
        src_offset: 1024,
        ..Wish::default()
    };
    let plan = plan(wish, &disk(0, 4096), &disk(1, 8192)).unwrap();
    assert_eq!((plan.length, plan.chunk), (3072, DEFAULT_CHUNK));
}

#[test]
fn both_ends_are_respected() {
    let (small, large) = (disk(0, 4096), disk(1, 8192));
    let text = refusal(wish(1024, 0, 4096), &small, &large);
    assert!(text.contains("--length 3072"), "{text}");
    let text = refusal(wish(4608, 0, 512), &small, &large);
    assert!(text.contains("past the end of /dev/disk0"), "{text}");
    let text = refusal(
        Wish {
            dst_offset: 1024,
            ..Wish::default()
        },
        &large,
        &small,
    );
    assert!(text.contains("--length 3072"), "{text}");
    let text = refusal(wish(0, 4096, 512), &large, &small);
    assert!(text.contains("a smaller --dst-offset"), "{text}");
    assert!(plan(wish(0, 4096, 0), &large, &small).is_ok());
    refusal(
        wish(0, u64::MAX - 511, 512),
        &large,
        &End {
            size: None,
            ..small
        },
    );
}

#[test]
fn alignment_is_to_the_larger_block() {
    let (src, dst) = (
        disk(0, 1 << 20),
        End {
            align: 4096,
            ..disk(1, 1 << 20)
        },
    );
    let text = refusal(wish(512, 0, 4096), &src, &dst);
    assert!(
        text.contains("--src-offset is 512") && text.contains("0 and 4096"),
        "{text}"
    );
    assert!(refusal(wish(0, 512, 4096), &src, &dst).contains("--dst-offset"));
    assert!(refusal(wish(0, 0, 5120), &src, &dst).contains("4096 and 8192"));
    let odd_chunk = Wish {
        chunk: Some(1000),
        ..Wish::default()
    };
    assert!(refusal(odd_chunk, &src, &dst).contains("--chunk"));
    let no_chunk = Wish {
        chunk: Some(0),
        ..Wish::default()
    };
    assert!(refusal(no_chunk, &src, &dst).contains("--chunk"));
    let buffered = |end: End| End { align: 1, ..end };
    assert!(plan(wish(1, 2, 3), &buffered(src), &buffered(dst)).is_ok());
}

#[test]
fn overlap_on_one_disk_and_through_a_partition() {
    let whole = disk(0, 1 << 20);
    let part = partition(0, 64 << 10, 128 << 10);
    refusal(wish(0, 512, 1024), &whole, &whole);
    refusal(wish(0, 0, 512), &whole, &whole);
    assert!(plan(wish(0, 1024, 1024), &whole, &whole).is_ok());
    assert!(plan(wish(1024, 0, 1024), &whole, &whole).is_ok());
    // Byte 0 of the partition is byte 64 KiB of the disk.
    let text = refusal(wish(64 << 10, 0, 512), &whole, &part);
    assert!(text.contains("overlap"), "{text}");
    refusal(wish(0, 0, (64 << 10) + 512), &whole, &part);
    assert!(plan(wish(0, 0, 64 << 10), &whole, &part).is_ok());
    refusal(wish(0, 64 << 10, 512), &part, &whole);
    assert!(plan(wish(0, 0, 64 << 10), &whole, &disk(1, 1 << 20)).is_ok());
}

#[test]
fn two_new_files_are_not_the_same() {
    let new = End {
        space: Space::New,
        size: None,
        align: 1,
        ..disk(0, 0)
    };
    assert!(!overlaps(&new, 0, &new, 0, 10));
}

proptest! {
    /// The arithmetic agrees with marking every block.
    #[test]
    fn overlap_agrees_with_a_map(
        src in 0u64..40, dst in 0u64..40, base in 0u64..20, length in 0u64..20,
    ) {
        let whole = disk(0, 1 << 20);
        let part = partition(0, base, 1 << 20);
        let mut map = [0u8; 128];
        for (start, bit) in [(src, 1u8), (base + dst, 2)] {
            for byte in start..start + length {
                map[usize::try_from(byte).unwrap()] |= bit;
            }
        }
        prop_assert_eq!(overlaps(&whole, src, &part, dst, length), map.contains(&3));
    }

    #[test]
    fn no_input_overflows(
        src_offset: u64, dst_offset: u64, length: Option<u64>, chunk: Option<u64>, size: u64,
    ) {
        let wish = Wish { src_offset, dst_offset, length, chunk };
        if let Ok(plan) = plan(wish, &disk(0, size), &disk(1, size)) {
            prop_assert!(plan.src_offset + plan.length <= size);
            prop_assert!(plan.dst_offset + plan.length <= size);
            prop_assert!(plan.length % 512 == 0 && plan.chunk % 512 == 0);
        }
    }
}
