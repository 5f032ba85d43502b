// SPDX-License-Identifier: GPL-2.0

//! Who has the lock when, and what happens before what.

use super::*;

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "others are ended with the lock held",
        edits: &[edit(
            END,
            "} = context.locked(|state| state.ended(side, verdict));",
            "} = context.locked(|state| {
                let mut ended = state.ended(side, verdict);
                core::mem::take(&mut ended.others).end(status_of(ended.verdict));
                ended
            });",
        )],
        found: by("direct::an_early_end_ends_what_is_parked", "a lock is held"),
    },
    Fault {
        name: "bios enter a stack with the lock held",
        edits: &[edit(
            HOLD,
            "    settle(bio.locked(|state, bio, _| state.enter(bio)), go_on)",
            "    bio.locked(|state, bio, _| {
        let issued = settle(state.enter(bio), go_on);
        issued.into_iter().for_each(OwnedBio::resubmit);
    });
    None",
        )],
        found: by("stacks::all_enter_a_stack_or_none", "a lock is held"),
    },
    Fault {
        name: "a place is written after the lock was dropped",
        edits: &[
            edit(
                PARK,
                "let first = bio.part().arrived.populate(arrived);",
                "let part = core::ptr::from_ref(bio.part());
                let first = bio.part().arrived.as_ref().is_none();",
            ),
            edit(
                PARK,
                "    settle(next,",
                "    let _ = first && unsafe { (*part).arrived.populate(arrived) };
                settle(next,",
            ),
        ],
        found: by("direct::whoever_comes_first_is_parked", RACE),
    },
    Fault {
        name: "nothing is held at the top",
        edits: &[edit(
            PROTOCOL,
            "Levels::Several => (Phase::Hold, parts),",
            "Levels::Several => (Phase::Translate, 0),",
        )],
        found: by(
            "stacks::all_enter_a_stack_or_none",
            "entered before all have come",
        ),
    },
    Fault {
        name: "the first two that are held go on",
        edits: &[edit(
            PROTOCOL,
            "if self.outside > 0 {",
            "if self.outside > 1 {",
        )],
        found: by(
            "stacks::all_enter_a_stack_or_none",
            "entered before all have come",
        ),
    },
    Fault {
        name: "the command is dispatched before all are parked",
        edits: &[edit(
            PROTOCOL,
            "if self.missing > 0 {",
            "if self.missing > 1 {",
        )],
        found: by(
            "direct::whoever_comes_first_is_parked",
            "became NotSupported",
        ),
    },
    Fault {
        name: "a command that comes back is dispatched anew",
        edits: &[edit(
            PARK,
            "if first { dispatch }",
            "if first || again { dispatch }",
        )],
        found: by("stacks::the_command_takes_another_path", "dispatched twice"),
    },
    Fault {
        name: "a command that comes back is refused",
        edits: &[edit(
            PROTOCOL,
            "(Phase::Dispatch, Side::Destination) => Next::GoOn(only(bio)),",
            "(Phase::Done, Side::Destination) => Next::GoOn(only(bio)),",
        )],
        found: by(
            "stacks::the_command_takes_another_path",
            "became NotSupported",
        ),
    },
    Fault {
        name: "a second clone is taken for the first",
        edits: &[edit(
            PARK,
            "(false, false) => state.refuse(bio),",
            "(false, false) => state.arrive(side, bio, || pair_all(context)),",
        )],
        found: by(
            "stacks::a_part_that_arrives_in_pieces_or_twice",
            "a bio was dropped",
        ),
    },
    Fault {
        name: "bios wait on a path",
        edits: &[edit(
            PARK,
            "        bio.bio_mut().leave_path();",
            "        let _ = bio.bio_mut();",
        )],
        found: by(
            "stacks::a_path_that_goes_away_while_bios_are_parked",
            "a bio waited on a path",
        ),
    },
    Fault {
        name: "a path is left after the bio was parked",
        edits: &[
            edit(
                PARK,
                "        bio.bio_mut().leave_path();\n    }\n",
                "    }\n    let parked: *mut OwnedBio = bio.bio_mut();
    let mut parked = unsafe { core::ptr::read(parked) };\n",
            ),
            edit(
                PARK,
                "    settle(next,",
                "    if first {
        parked.leave_path();
    }
    core::mem::forget(parked);
    settle(next,",
            ),
        ],
        found: by("stacks::a_path_that_goes_away_while_bios_are_parked", RACE),
    },
    Fault {
        name: "the command must not wait",
        edits: &[edit(PARK, "    command.allow_wait();", "")],
        found: by("direct::a_command_and_each_of_its_ends", "became Busy"),
    },
];
