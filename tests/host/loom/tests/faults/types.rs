// SPDX-License-Identifier: GPL-2.0

//! What the compiler does not let through.

use super::*;

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "a bio is ended twice",
        edits: &[edit(
            END,
            "bios.end(status_of(verdict)),",
            "{\n            bios.end(status_of(verdict));\n            bios.end(status_of(verdict));
        }",
        )],
        found: Found::Compiler("E0382"),
    },
    Fault {
        name: "a bio is parked and issued",
        edits: &[edit(
            PROTOCOL,
            "        if self.missing > 0 {\n            return Next::Waits;",
            "        if self.missing > 0 {\n            return Next::GoOn(only(bio));",
        )],
        found: Found::Compiler("E0382"),
    },
    Fault {
        name: "somebody else makes the right to finish a chunk",
        edits: &[edit(
            SUBMIT,
            "    if let Some(sole) = sole {",
            "    {\n        let sole = sole.unwrap_or(Sole(()));",
        )],
        found: Found::Compiler("E0423"),
    },
    Fault {
        name: "the right to finish a chunk is used twice",
        edits: &[edit(
            SUBMIT,
            "            finish(context, sole, verdict);",
            "            finish(context, sole, verdict);
            finish(context, sole, verdict);",
        )],
        found: Found::Compiler("E0382"),
    },
    Fault {
        name: "a chunk is kept when its bio is given away",
        edits: &[
            edit(
                PARK,
                "    let next = bio.locked(",
                "    let kept = bio.context();\n    let next = bio.locked(",
            ),
            edit(
                PARK,
                "    settle(next,",
                "    let _ = kept.levels;\n    settle(next,",
            ),
        ],
        found: Found::Compiler("E0505"),
    },
];
