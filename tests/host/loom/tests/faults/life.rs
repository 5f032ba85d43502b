// SPDX-License-Identifier: GPL-2.0

//! Chunks that are used or freed at the wrong time, and bios that nobody ends.

use super::*;

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "the submitter looks at the chunk after its last bio",
        edits: &[edit(
            SUBMIT,
            "            )))\n        };\n    }\n}",
            "            )))\n        };\n    }
            unsafe { ContextRef::new(context) }.locked(|_| ());\n}",
        )],
        found: by("direct::whoever_comes_first_is_parked", RACE),
    },
    Fault {
        name: "whoever gives a bio away looks at the chunk again",
        edits: &[edit(
            RAW,
            "context.locked(|state| f(state, self.bio, context))",
            "let result = context.locked(|state| f(state, self.bio, context));
            context.locked(|_| ());
            result",
        )],
        found: by("direct::whoever_comes_first_is_parked", RACE),
    },
    Fault {
        name: "whoever has ended others looks at the chunk again",
        edits: &[edit(
            END,
            "    (last, verdict)\n}",
            "    context.locked(|_| ());\n    (last, verdict)\n}",
        )],
        found: by(
            "direct::whoever_comes_first_is_parked",
            "used after it was freed",
        ),
    },
    Fault {
        name: "the last but one finishes the chunk as well",
        edits: &[edit(PROTOCOL, "(self.live == 0)", "(self.live <= 1)")],
        found: by(
            "direct::whoever_comes_first_is_parked",
            "there is no such chunk",
        ),
    },
    Fault {
        name: "the owner is told before the chunk is freed",
        edits: &[edit(
            SUBMIT,
            "        drop(Memory::from_raw(context, (*raw).parts, (*raw).reserve));
        owner.as_ref().chunk_ended(slot, verdict);",
            "        owner.as_ref().chunk_ended(slot, verdict);
        drop(Memory::from_raw(context, (*raw).parts, (*raw).reserve));",
        )],
        found: by("direct::whoever_comes_first_is_parked", RACE),
    },
    Fault {
        name: "a chunk is not freed",
        edits: &[edit(
            SUBMIT,
            "drop(Memory::from_raw(",
            "core::mem::forget(Memory::from_raw(",
        )],
        found: by("direct::whoever_comes_first_is_parked", "leaked"),
    },
    Fault {
        name: "a chunk is freed twice",
        edits: &[edit(
            SUBMIT,
            "        drop(Memory::from_raw(context, (*raw).parts, (*raw).reserve));",
            "        let (parts, reserve) = ((*raw).parts, (*raw).reserve);
            drop(Memory::from_raw(context, parts, reserve));
            drop(Memory::from_raw(context, parts, reserve));",
        )],
        found: by("direct::whoever_comes_first_is_parked", "freed twice"),
    },
    Fault {
        name: "a chunk of the reserve is freed elsewhere",
        edits: &[edit(
            MEMORY,
            "        if self.count <= SMALLEST {\n            // SAFETY",
            "        if self.count < SMALLEST {\n            // SAFETY",
        )],
        found: by(
            "direct::whoever_comes_first_is_parked",
            "freed where it did not come from",
        ),
    },
    Fault {
        name: "a chunk has memory for one part less",
        edits: &[edit(
            MEMORY,
            "let count = sources.checked_add(1)",
            "let count = Some(sources)",
        )],
        found: by(
            "direct::three_parts_in_every_way",
            "a verdict before all bios have ended",
        ),
    },
    Fault {
        name: "the end of a bio is not undone",
        edits: &[edit(
            SUBMIT,
            "Bio::uninit(NonNull::new_unchecked(bio.cast()));",
            "",
        )],
        found: by(
            "direct::whoever_comes_first_is_parked",
            "freed with a bio in it",
        ),
    },
    Fault {
        name: "the others are forgotten",
        edits: &[edit(
            END,
            "others.end(status_of(verdict));",
            "core::mem::forget(others);",
        )],
        found: by("direct::an_early_end_ends_what_is_parked", HANGS),
    },
    Fault {
        name: "the parked command is forgotten",
        edits: &[edit(
            PROTOCOL,
            "            bios.push(command);",
            "            core::mem::forget(command);",
        )],
        found: by("direct::an_early_end_ends_what_is_parked", HANGS),
    },
    Fault {
        name: "what is refused is not ended",
        edits: &[edit(
            PARK,
            "    settle(next, if first { dispatch } else { Some })",
            "    match next {
        super::protocol::Next::End(bios, _) => core::mem::forget(bios),
        next => return settle(next, if first { dispatch } else { Some }),
    }
    None",
        )],
        found: by("direct::places_that_no_device_has", HANGS),
    },
    Fault {
        name: "what comes too late to the top is not ended",
        edits: &[edit(
            HOLD,
            "    settle(bio.locked(|state, bio, _| state.enter(bio)), go_on)",
            "    match bio.locked(|state, bio, _| state.enter(bio)) {
        super::protocol::Next::End(bios, _) => core::mem::forget(bios),
        next => return settle(next, go_on),
    }
    None",
        )],
        found: by("stacks::all_enter_a_stack_or_none", HANGS),
    },
    Fault {
        name: "a bio is parked in a chunk that is over",
        edits: &[edit(
            PROTOCOL,
            "if !self.takes_parts() {",
            "if self.phase == Phase::Done {",
        )],
        found: by("direct::an_early_end_ends_what_is_parked", HANGS),
    },
    Fault {
        name: "a bio is held in a chunk that is over",
        edits: &[
            edit(
                PROTOCOL,
                "            Phase::Hold => {\n",
                "            Phase::Hold | Phase::Over => {\n",
            ),
            edit(
                PROTOCOL,
                "            Phase::Done | Phase::Over => self.refuse(bio)",
                "            Phase::Done => self.refuse(bio)",
            ),
        ],
        found: by("stacks::all_enter_a_stack_or_none", HANGS),
    },
    Fault {
        name: "only one of the held bios goes on",
        edits: &[edit(
            END,
            "                        before.resubmit();",
            "                        drop(before);",
        )],
        found: by("stacks::all_enter_a_stack_or_none", "a bio was dropped"),
    },
    Fault {
        name: "a source is left out",
        edits: &[edit(
            SUBMIT,
            "Iterator::chain(1..parts, once(0))",
            "Iterator::chain(2..parts, once(0))",
        )],
        found: by("direct::whoever_comes_first_is_parked", HANGS),
    },
    Fault {
        name: "the rest is not submitted after an error",
        edits: &[
            edit(
                SUBMIT,
                "        // SAFETY: The bio was initialized above and is submitted once.",
                "        if unsafe { ContextRef::new(context) }.locked(|state| state.is_over()) {
            break;
        }
        // SAFETY: The bio was initialized above and is submitted once.",
            ),
            edit(
                PROTOCOL,
                "    fn over(&mut self, verdict: Verdict<S>) -> L {",
                "    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    fn over(&mut self, verdict: Verdict<S>) -> L {",
            ),
        ],
        found: by("direct::an_error_in_the_submitter_itself", HANGS),
    },
];
