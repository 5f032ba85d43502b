// SPDX-License-Identifier: GPL-2.0

//! How the Copy commands of a namespace ended: `copy_stats` in debugfs.
//!
//! Nothing here knows the kernel, so it is tested on the host that compiles it.

use super::check::Reason;
use kernel::block::units::Sectors;

/// How a command ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// All of it was copied.
    Copied,
    /// With an error of what the namespace lies on. A part of it may have been copied.
    Failed,
    /// It was not executed, because its connection has ended or its namespace goes away.
    CutOff,
    /// It was not executed, because its turn did not come in time.
    Late,
    /// It was not executed, because of the data that came along: too much, too little, or none that
    /// could be read.
    Data,
    /// It was not executed, because of what it says.
    Refused(Reason),
}

impl Ending {
    /// All of them, in the order of the counters, with their names.
    const ALL: [(Self, &'static str); 9] = [
        (Self::Copied, "copied"),
        (Self::Failed, "failed"),
        (Self::CutOff, "cut_off"),
        (Self::Late, "late"),
        (Self::Data, "refused_data"),
        (Self::Refused(Reason::InvalidField), "refused_field"),
        (Self::Refused(Reason::TooLarge), "refused_size"),
        (Self::Refused(Reason::OutOfRange), "refused_range"),
        (Self::Refused(Reason::Overlap), "refused_overlap"),
    ];
}

/// The counters of a namespace.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    commands: [u64; Ending::ALL.len()],
    copied: u64,
}

impl Counters {
    /// Counts a command that ended in this way, and the sectors that it has copied.
    pub(crate) fn count(&mut self, ending: Ending, copied: Sectors) {
        let counters = self.commands.iter_mut().zip(Ending::ALL);
        for (counter, _) in counters.filter(|(_, (one, _))| *one == ending) {
            *counter = counter.wrapping_add(1);
        }
        self.copied = self.copied.wrapping_add(copied.get());
    }

    /// All of them, with their names: commands by how they ended, and sectors that were copied.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let commands = Ending::ALL.iter().zip(&self.commands);
        commands
            .map(|((_, name), counter)| (*name, *counter))
            .chain([("copied_sectors", self.copied)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ending_has_a_counter_of_its_own() {
        for (number, (ending, name)) in Ending::ALL.into_iter().enumerate() {
            let mut counters = Counters::default();
            counters.count(ending, Sectors::new(8));
            counters.count(ending, Sectors::new(3));
            let all: Vec<_> = counters.all().collect();
            assert_eq!(all.len(), Ending::ALL.len() + 1);
            assert_eq!(all[number], (name, 2));
            assert_eq!(all.last(), Some(&("copied_sectors", 11)));
            assert_eq!(all.iter().map(|(_, count)| count).sum::<u64>(), 13);
        }
    }
}
