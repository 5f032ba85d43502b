// SPDX-License-Identifier: GPL-2.0
use super::*;
use proptest::prelude::*;

/// Two byte arrays, an error at one source offset, and short copies.
struct Fake {
    src: Vec<u8>,
    dst: Mutex<Vec<u8>>,
    step: u64,
    bad: Option<u64>,
    /// Every `copy` fails with this.
    refuse: Option<Errno>,
    /// `copy` fails with this at the bad offset.
    errno: Errno,
}

impl Fake {
    fn new(len: usize, step: u64) -> Self {
        let src = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
        Self {
            src,
            dst: Mutex::new(vec![255; len]),
            step,
            bad: None,
            refuse: None,
            errno: Errno::IO,
        }
    }

    fn transfer(&self, src: u64, dst: u64, len: u64) -> io::Result<u64> {
        let mut len = len.min(self.step).min(self.src.len() as u64 - src);
        if let Some(bad) = self.bad.filter(|&bad| (src..src + len).contains(&bad)) {
            if bad == src {
                return Err(self.errno.into());
            }
            len = bad - src;
        }
        let (from, to, n) = (
            usize::try_from(src).unwrap(),
            usize::try_from(dst).unwrap(),
            usize::try_from(len).unwrap(),
        );
        lock(&self.dst)[to..to + n].copy_from_slice(&self.src[from..from + n]);
        Ok(len)
    }

    fn run(&self, length: u64, chunk: u64, jobs: usize) -> Outcome {
        let work = Work {
            src_offset: 0,
            dst_offset: 0,
            split: Split::new(length, chunk),
            jobs,
            einval_is_refusal: true,
        };
        let seen = AtomicU64::new(0);
        let outcome = run(work, self, &AtomicBool::new(false), &|n| {
            seen.fetch_add(n, Ordering::Relaxed);
        });
        assert_eq!(seen.into_inner(), outcome.total);
        outcome
    }
}

impl Mover for Fake {
    fn copy(&self, src: u64, dst: u64, len: u64) -> io::Result<u64> {
        match self.refuse {
            Some(errno) => Err(errno.into()),
            None => self.transfer(src, dst, len),
        }
    }

    fn read_write(
        &self,
        src: u64,
        dst: u64,
        len: u64,
        _: &mut Option<AlignedBuf>,
    ) -> Result<u64, Broken> {
        self.transfer(src, dst, len).map_err(|error| Broken {
            what: "reading",
            src,
            dst,
            error,
        })
    }
}

#[test]
fn short_copies_are_continued() {
    let fake = Fake::new(1000, 7);
    let outcome = fake.run(1000, 64, 1);
    assert_eq!((outcome.gap_free, outcome.total), (1000, 1000));
    assert!(outcome.broken.is_none() && outcome.refused.is_none() && !outcome.stopped);
    assert_eq!(*lock(&fake.dst), fake.src);
}

#[test]
fn a_refusal_is_answered_by_reading_and_writing() {
    for errno in [Errno::INVAL, Errno::XDEV, Errno::OPNOTSUPP, Errno::NOSYS] {
        let fake = Fake {
            refuse: Some(errno),
            ..Fake::new(1000, 300)
        };
        let outcome = fake.run(1000, 100, 3);
        assert_eq!(outcome.gap_free, 1000);
        assert!(outcome.refused.is_some());
        assert_eq!(*lock(&fake.dst), fake.src);
    }
}

#[test]
fn an_io_error_is_never_retried_by_other_means() {
    for errno in [Errno::IO, Errno::NOSPC, Errno::NODATA, Errno::PERM] {
        let fake = Fake {
            refuse: Some(errno),
            ..Fake::new(1000, 300)
        };
        let outcome = fake.run(1000, 100, 1);
        assert_eq!((outcome.gap_free, outcome.total), (0, 0));
        let broken = outcome.broken.unwrap();
        assert_eq!(broken.error.raw_os_error(), Some(errno.raw_os_error()));
        assert_eq!(broken.what, "copy_file_range");
        assert!(outcome.refused.is_none());
    }
}

#[test]
fn einval_after_a_success_is_an_error() {
    let fake = Fake {
        bad: Some(555),
        errno: Errno::INVAL,
        ..Fake::new(1000, 300)
    };
    let outcome = fake.run(1000, 100, 1);
    assert_eq!(outcome.gap_free, 555);
    assert!(outcome.broken.is_some() && outcome.refused.is_none());
}

#[test]
fn einval_of_a_kernel_that_knows_is_an_error() {
    let fake = Fake {
        refuse: Some(Errno::INVAL),
        ..Fake::new(1000, 300)
    };
    let work = Work {
        src_offset: 0,
        dst_offset: 0,
        split: Split::new(1000, 100),
        jobs: 1,
        einval_is_refusal: false,
    };
    let outcome = run(work, &fake, &AtomicBool::new(false), &|_| ());
    assert_eq!(outcome.total, 0);
    assert!(outcome.broken.is_some() && outcome.refused.is_none());
}

#[test]
fn the_end_coming_early_is_an_error() {
    let outcome = Fake::new(500, 64).run(1000, 100, 1);
    assert_eq!(outcome.gap_free, 500);
    assert_eq!(
        outcome.broken.unwrap().error.kind(),
        io::ErrorKind::UnexpectedEof
    );
}

#[test]
fn a_stop_leaves_an_exact_prefix() {
    let fake = Fake::new(1000, 10);
    let stop = AtomicBool::new(false);
    let work = Work {
        src_offset: 0,
        dst_offset: 0,
        split: Split::new(1000, 100),
        jobs: 1,
        einval_is_refusal: true,
    };
    let seen = AtomicU64::new(0);
    let outcome = run(work, &fake, &stop, &|n| {
        if seen.fetch_add(n, Ordering::Relaxed) + n >= 250 {
            stop.store(true, Ordering::Relaxed);
        }
    });
    assert!(outcome.stopped && outcome.broken.is_none());
    assert_eq!(outcome.gap_free, 250);
    let dst = lock(&fake.dst);
    assert_eq!(dst[..250], fake.src[..250]);
    assert!(dst[250..].iter().all(|&b| b == 255));
}

proptest! {
    /// Whatever the threads do, the reported prefix is what was copied, and
    /// it ends at the error.
    #[test]
    fn the_prefix_is_exact(
        length in 1usize..2000, chunk in 1u64..300, step in 1u64..400, jobs in 1usize..5, bad in 0u64..4000,
    ) {
        let fake = Fake { bad: Some(bad), ..Fake::new(length, step) };
        let length = length as u64;
        let outcome = fake.run(length, chunk, jobs);
        prop_assert_eq!(outcome.gap_free, bad.min(length));
        prop_assert_eq!(outcome.broken.map(|broken| broken.src), (bad < length).then_some(bad));
        let n = usize::try_from(outcome.gap_free).unwrap();
        prop_assert_eq!(&lock(&fake.dst)[..n], &fake.src[..n]);
    }
}
