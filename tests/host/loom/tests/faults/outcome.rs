// SPDX-License-Identifier: GPL-2.0

//! What becomes of a chunk, what the driver is told of it, and what the copy is told.

use super::*;

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "an error is lost that comes after a fallback",
        edits: &[edit(
            PROTOCOL,
            "Phase::Over => self.verdict = self.verdict.and(verdict),",
            "Phase::Over => {}",
        )],
        found: by("stacks::a_stack_in_every_way", "[Broken] became"),
    },
    Fault {
        name: "a fallback outweighs an error",
        edits: &[edit(
            VERDICT,
            "(Self::Fallback(_), Self::Failed(_)) => later,",
            "(Self::Failed(_), Self::Fallback(_)) => later,",
        )],
        found: by(
            "direct::two_parts_in_every_way_on_every_thread",
            "[Broken] became",
        ),
    },
    Fault {
        name: "a part that ends well without a command is a success",
        edits: &[edit(
            PROTOCOL,
            "self.verdict.and(verdict).and(Self::IGNORED);",
            "self.verdict.and(verdict);",
        )],
        found: by(
            "direct::an_early_end_ends_what_is_parked",
            "a success that was none",
        ),
    },
    Fault {
        name: "a command that fails is a success",
        edits: &[edit(
            PROTOCOL,
            "                self.verdict = self.verdict.and(verdict);
                self.phase = Phase::Done;",
            "                self.phase = Phase::Done;",
        )],
        found: by(
            "direct::a_command_and_each_of_its_ends",
            "a success that was none",
        ),
    },
    Fault {
        name: "what is refused ends well",
        edits: &[edit(
            PROTOCOL,
            "            Verdict::Offloaded => Self::IGNORED,\n",
            "",
        )],
        found: by(
            "stacks::a_part_that_arrives_in_pieces_or_twice",
            "became Copied",
        ),
    },
    Fault {
        name: "a driver that would wait is taken for an error",
        edits: &[edit(
            END,
            "        Some(Status::AGAIN) => Verdict::Fallback(Reason::Busy),\n",
            "",
        )],
        found: by("stacks::a_stack_in_every_way", "became Other"),
    },
    Fault {
        name: "two devices are taken for one",
        edits: &[edit(
            PAIR,
            "if to.domain.is_none() || from.domain != to.domain {",
            "if to.domain.is_none() {",
        )],
        found: by("direct::places_that_no_device_has", "became Copied"),
    },
    Fault {
        name: "half of a bio is taken for all of it",
        edits: &[edit(
            PAIR,
            "if sum != len || to.range.len() != len {",
            "if sum > len {",
        )],
        found: by(
            "stacks::a_part_that_arrives_in_pieces_or_twice",
            "another source",
        ),
    },
    Fault {
        name: "the destination is taken for a source",
        edits: &[edit(
            RAW,
            "self.parts().iter().skip(1)",
            "self.parts().iter().skip(0)",
        )],
        found: by("direct::whoever_comes_first_is_parked", "became Overlap"),
    },
    Fault {
        name: "sources are read in another order",
        edits: &[edit(
            RAW,
            "        let source = self.parts().get(index.checked_add(1)?)?;",
            "        let last = self.parts().len().checked_sub(1)?;
        let at = last.checked_sub(index).filter(|at| *at > 0)?;
        let source = self.parts().get(at)?;",
        )],
        found: by("direct::three_parts_in_every_way", "other sources"),
    },
    Fault {
        name: "the driver is told of one source less",
        edits: &[edit(
            RAW,
            "self.parts().get(index.checked_add(1)?)?",
            "self.parts().get(index.checked_add(2)?)?",
        )],
        found: by("direct::whoever_comes_first_is_parked", "other sources"),
    },
    Fault {
        name: "the last source is taken for the first",
        edits: &[edit(
            RAW,
            "self.parts().iter().skip(1)",
            "self.parts().iter().skip(1).rev()",
        )],
        found: by("direct::three_parts_in_every_way", "another source"),
    },
    Fault {
        name: "a split is not told",
        edits: &[edit(
            PARK,
            "        context.locked(|state| state.split(end));",
            "        let _ = (context, end);",
        )],
        found: by("stacks::a_chunk_that_is_to_be_split", "became NotSupported"),
    },
    Fault {
        name: "a split is counted from the start of the part",
        edits: &[edit(
            PARK,
            "part.offset.checked_add(len)",
            "Sectors::ZERO.checked_add(len)",
        )],
        found: by("stacks::a_chunk_that_is_to_be_split", "became Split(4)"),
    },
    Fault {
        name: "the driver of a copy is woken after the lock was dropped",
        edits: &[edit(
            TRACKER,
            "        state.progress.end(slot, verdict, error_of);\n        self.wake(&mut state);",
            "        state.progress.end(slot, verdict, error_of);
            drop(state);
            let mut state = self.state.lock();
            self.wake(&mut state);",
        )],
        found: by("direct::whoever_comes_first_is_parked", RACE),
    },
    Fault {
        name: "a driver is woken that does not wait",
        edits: &[edit(
            TRACKER,
            "if state.waiting && state.is_ready() {",
            "if state.is_ready() {",
        )],
        found: by(
            "direct::a_copy_that_a_worker_goes_on_with",
            "used after it was freed",
        ),
    },
    Fault {
        name: "a driver waits for what has happened",
        edits: &[edit(
            TRACKER,
            "state.waiting = !state.is_ready();",
            "state.waiting = true;",
        )],
        found: by("direct::whoever_comes_first_is_parked", HANGS),
    },
    Fault {
        name: "the gap is the first error in time",
        edits: &[edit(GAP, "if self.allows(offset) {", "if self.is_none() {")],
        found: by("windows::two_chunks_of_one_window", "not the first gap"),
    },
    Fault {
        name: "a chunk takes the slot of another one",
        edits: &[edit(
            WINDOW,
            "let slot = (self.first + self.count) % WINDOW;",
            "let slot = self.first;",
        )],
        found: by("windows::two_chunks_of_one_window", "slots are in order"),
    },
    Fault {
        name: "the length of a split is taken for that of the next one",
        edits: &[
            edit(PROGRESS, ".filter(|(at, _)| *at == start)", ""),
            edit(
                PROGRESS,
                "            self.split = Gap::NONE;\n        }\n        Glance",
                "        }\n        Glance",
            ),
        ],
        found: by(
            "windows::two_chunks_that_are_to_be_split",
            "split elsewhere",
        ),
    },
];
