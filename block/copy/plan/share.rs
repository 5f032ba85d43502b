// SPDX-License-Identifier: GPL-2.0

//! How much a copy may have in flight beside the other copies to its disk.
//!
//! A command must end before its time limit, also if the device works on many at once: 128 MiB
//! take a second at 128 MiB/s. So what all copies to a disk have in flight is bounded, not only
//! what each has. No copy waits for another one: each may have one chunk in flight, and goes on
//! when that has ended. Where there is no room for more, each has one, so they share the device
//! evenly.
//!
//! Pure: plain values, no FFI, no locks. Compiled on the host too.

use kernel::block::units::Sectors;

/// As long as so much is in flight, or less, a copy may have several chunks in flight.
const ROOM: Sectors = Sectors::from_bytes_floor(128 << 20);

/// From here on, chunks are short. So many copies do not have more in flight than this, and a
/// [`SHORT`] one each.
const CROWD: Sectors = Sectors::from_bytes_floor(512 << 20);

/// A short chunk: a multiple of every logical block.
pub(crate) const SHORT: Sectors = Sectors::from_bytes_floor(1 << 20);

/// How long the next chunk of a copy may be, if one may have `max`. The copy has `own` in flight,
/// and all copies to the disk have `all`, this one included. Zero: it waits for its own ones.
pub(crate) fn allowed(all: Sectors, own: Sectors, max: Sectors) -> Sectors {
    let fits = all.checked_add(max).is_some_and(|all| all <= ROOM);
    match (own.is_zero(), fits) {
        (_, true) => max,
        (true, false) if all < CROWD => max,
        (true, false) => max.min(SHORT),
        (false, false) => Sectors::ZERO,
    }
}

#[cfg_attr(
    CONFIG_BLK_COPY_KUNIT_TEST,
    kernel::macros::kunit_tests(blk_copy_share)
)]
#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests {
    use super::*;

    const NONE: Sectors = Sectors::ZERO;
    const MIB: u64 = 2048;

    fn mib(count: u64) -> Sectors {
        Sectors::new(count * MIB)
    }

    #[test]
    fn one_copy_fills_the_room() {
        assert_eq!(allowed(NONE, NONE, mib(32)), mib(32));
        assert_eq!(allowed(mib(96), mib(96), mib(32)), mib(32));
        assert_eq!(allowed(mib(97), mib(97), mib(32)), NONE);
        assert_eq!(allowed(mib(128), mib(128), Sectors::new(8)), NONE);
    }

    #[test]
    fn there_is_always_room_for_one_chunk() {
        for all in [0, 128, 511, 512, 1 << 20] {
            assert!(!allowed(mib(all), NONE, mib(32)).is_zero());
            assert_eq!(allowed(mib(all), NONE, Sectors::new(8)), Sectors::new(8));
        }
        assert!(!allowed(Sectors::new(u64::MAX), NONE, mib(1)).is_zero());
        // An administrator has allowed it.
        assert_eq!(allowed(NONE, NONE, mib(4095)), mib(4095));
        assert_eq!(allowed(mib(4095), mib(4095), mib(1)), NONE);
        assert_eq!(allowed(mib(4095), NONE, mib(4095)), mib(1));
    }

    /// Copies that send as much as they may, in turns.
    #[test]
    fn many_copies_are_bounded_and_equal() {
        const COPIES: usize = 100;
        let mut own = [NONE; COPIES];
        let mut all = NONE;
        // Each is done with its oldest chunks before it sends more.
        for turn in 0..COPIES * 50 {
            let Some(mine) = own.get_mut(turn % COPIES) else {
                return;
            };
            all = all.checked_sub(*mine).unwrap_or_default();
            *mine = NONE;
            loop {
                let len = allowed(all, *mine, mib(32));
                if len.is_zero() {
                    break;
                }
                *mine = mine.checked_add(len).unwrap_or_default();
                all = all.checked_add(len).unwrap_or_default();
            }
            assert!(all < mib(512 + 32 + 100));
        }
        assert!(own.iter().all(|own| *own >= SHORT && *own <= mib(32)));
    }
}
