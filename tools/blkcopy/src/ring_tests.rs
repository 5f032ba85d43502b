// SPDX-License-Identifier: GPL-2.0
use super::*;
use std::collections::VecDeque;
use std::os::unix::fs::FileExt;

/// What a command was asked to copy: to, len, and the first source.
type Asked = (u64, u64, u64);

/// Ends commands one after the other, each as `answer` says, and cancelled ones with `ECANCELED`.
struct Fake<A> {
    answer: A,
    pending: VecDeque<(u64, Asked)>,
    asked: Vec<Asked>,
    most: usize,
    cancels: usize,
}

impl<A: FnMut(Asked) -> io::Result<u64>> Fake<A> {
    fn new(answer: A) -> Self {
        Self {
            answer,
            pending: VecDeque::new(),
            asked: Vec::new(),
            most: 0,
            cancels: 0,
        }
    }
}

impl<A: FnMut(Asked) -> io::Result<u64>> Queue for &mut Fake<A> {
    fn push(&mut self, copy: &Copy<'_>, tag: u64) -> io::Result<()> {
        let first = match copy.source {
            Source::One(from) => from,
            Source::Many(ranges) => {
                let sum: u64 = ranges.iter().map(|range| range.len).sum();
                assert_eq!(sum, copy.len);
                ranges[0].offset
            }
        };
        let asked = (copy.to, copy.len, first);
        self.asked.push(asked);
        self.pending.push_back((tag, asked));
        self.most = self.most.max(self.pending.len());
        Ok(())
    }

    fn cancel_all(&mut self, _: &File) -> io::Result<()> {
        self.cancels += 1;
        self.pending.push_back((CANCEL, (0, 0, 0)));
        Ok(())
    }

    fn under_way(&self) -> usize {
        self.pending.len()
    }

    fn wait_or_signal(&mut self) -> io::Result<Option<Done>> {
        let (tag, asked) = self.pending.pop_front().unwrap();
        let result = match tag {
            CANCEL => Ok(0),
            _ if self.cancels > 0 => Err(Errno::CANCELED.into()),
            _ => (self.answer)(asked),
        };
        Ok(Some(Done { tag, result }))
    }
}

/// Two files, of which the first one is full of sevens.
struct Bench {
    src: File,
    dst: File,
    stop: AtomicBool,
    command: Command,
}

impl Bench {
    fn new(command: Command) -> Self {
        let file = || tempfile::tempfile().unwrap();
        let (src, dst) = (file(), file());
        src.write_all_at(&[7; 10_000], 0).unwrap();
        Self {
            src,
            dst,
            stop: AtomicBool::new(false),
            command,
        }
    }

    /// Copies 10 batches of 100 bytes to 5000, each half from below 1000 and half from above 2000.
    fn run<A: FnMut(Asked) -> io::Result<u64>>(&self, fake: &mut Fake<A>) -> Outcome {
        let range = |offset| Range { offset, len: 50 };
        let batches = (0..10).map(|number| Batch {
            to: number * 100,
            len: 100,
            from: vec![range(number * 50), range(2000 + number * 50)],
        });
        let files = Files {
            src: &self.src,
            dst: &self.dst,
        };
        let task = Task {
            batches: Box::new(batches),
            length: 1000,
            src_offset: 0,
            dst_offset: 5000,
            command: self.command,
            files: &files,
            jobs: 4,
        };
        run(task, fake, &self.stop, &|_| ())
    }
}

#[test]
fn all_is_copied_by_so_many_at_a_time() {
    let mut fake = Fake::new(|(_, len, _)| Ok(len));
    let outcome = Bench::new(Command::Copy).run(&mut fake);
    assert_eq!((outcome.gap_free, outcome.total), (1000, 1000));
    assert!(outcome.broken.is_none() && !outcome.stopped);
    assert_eq!((fake.most, fake.asked.len(), fake.cancels), (4, 10, 0));
}

#[test]
fn short_copies_are_continued() {
    let mut fake = Fake::new(|(_, len, _)| Ok(len.min(60)));
    let outcome = Bench::new(Command::Copy).run(&mut fake);
    assert_eq!(outcome.gap_free, 1000);
    assert_eq!(fake.asked.len(), 20);
    // 10 bytes into the second source.
    assert!(fake.asked.contains(&(5060, 40, 2010)));
}

#[test]
fn the_rest_says_why_a_copy_was_short() {
    let errors = [
        (Errno::OPNOTSUPP, true),
        (Errno::BUSY, true),
        (Errno::IO, false),
        (Errno::NOSPC, false),
    ];
    for (error, refused) in errors {
        let mut fake = Fake::new(|(to, len, _)| match to {
            5300 => Ok(30),
            5330 => Err(error.into()),
            _ => Ok(len),
        });
        let outcome = Bench::new(Command::Offload).run(&mut fake);
        assert_eq!(outcome.gap_free, 330);
        assert!(!outcome.stopped);
        let broken = outcome.broken.unwrap();
        assert_eq!(
            (broken.what, broken.src, broken.dst),
            ("the copy", 180, 5330)
        );
        assert_eq!(Errno::from_io_error(&broken.error), Some(error));
        assert_eq!(is_not_offloaded(&broken.error), refused);
        // What is behind it is cancelled, once.
        assert_eq!(fake.cancels, 1);
    }
}

#[test]
fn a_stop_cancels_what_is_under_way() {
    let bench = Bench::new(Command::Offload);
    let mut ended = 0;
    let mut fake = Fake::new(|(_, len, _)| {
        ended += 1;
        bench.stop.store(ended == 3, Ordering::Relaxed);
        // The last one ends in part, as one does that is cancelled.
        Ok(if ended == 3 { 30 } else { len })
    });
    let outcome = bench.run(&mut fake);
    assert_eq!((outcome.gap_free, outcome.total), (230, 230));
    assert!(outcome.stopped && outcome.broken.is_none());
    assert_eq!(fake.cancels, 1);
}

#[test]
fn the_system_call_copies_what_the_command_does_not() {
    let bench = Bench::new(Command::Copy);
    let mut fake = Fake::new(|(to, len, _)| match to {
        5000..5300 => Err(Errno::BUSY.into()),
        _ => Ok(len),
    });
    let outcome = bench.run(&mut fake);
    assert_eq!(outcome.gap_free, 1000);
    assert!(outcome.broken.is_none());
    let mut copied = [0; 300];
    bench.dst.read_exact_at(&mut copied, 5000).unwrap();
    assert_eq!(copied, [7; 300]);
    assert_eq!(bench.dst.metadata().unwrap().len(), 5300);
}

#[test]
fn pieces_of_one_range() {
    let split = Split::new(250, 100);
    let batches: Vec<_> = one_range(4000, split).collect();
    assert_eq!(batches.len(), 3);
    assert_eq!((batches[2].to, batches[2].len), (200, 50));
    let range = Range {
        offset: 4200,
        len: 50,
    };
    assert_eq!(batches[2].from, [range]);
    let whole = one_range(0, Split::new(u64::MAX / 2, 0)).next().unwrap();
    assert!(whole.len <= copyring::MOST);
}
