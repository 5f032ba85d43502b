// SPDX-License-Identifier: GPL-2.0
//! Stack frames of the engine. A copy may begin deep in a stack of devices, where little of the kernel's stack is
//! left, so no function of the engine may take much of it.
//!
//! The compiler writes the sizes into a section of the object, as `build` asks it to. Debug kernels are left out: KASAN
//! and the checks of the compiler make all frames larger.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use anyhow::Context as _;
use anyhow::Result;
use serde::Deserialize;

use super::report::Report;
use crate::build::Work;
use crate::build::ENGINE;
use crate::host::command::output;

/// The most bytes of a frame.
const MAX: u64 = 1024;

/// The tests of KUnit are in the same object. They run on a stack of their own.
const TESTS: &str = "::tests::";

/// Checks the engine of a kernel that was built.
pub fn check(work: &Work<'_>, report: &mut Report) {
    let name = "no stack frame of the engine above 1 KiB";
    let Some(readobj) = work.llvm_tool("llvm-readobj") else {
        report.skip(name, "llvm-readobj is not installed");
        return;
    };
    match frames(&readobj, &work.dir().join(ENGINE)) {
        Ok(frames) => {
            let largest = frames.first().map_or(0, |frame| frame.size);
            let name = format!("{name} (the largest: {largest} bytes)");
            report.judge(&name, &complaints(&frames));
        }
        Err(error) => report.fail(name, &format!("{error:#}")),
    }
}

/// A function and the stack that it takes.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    function: String,
    size: u64,
}

fn complaints(frames: &[Frame]) -> Vec<String> {
    let large = frames.iter().filter(|frame| frame.size > MAX);
    large
        .map(|Frame { function, size }| format!("{size} bytes: {function}"))
        .collect()
}

/// The frames of an object, largest first.
fn frames(readobj: &Path, object: &Path) -> Result<Vec<Frame>> {
    let mut command = Command::new(readobj);
    command
        .args(["--stack-sizes", "--elf-output-style=JSON", "--demangle"])
        .arg(object);
    let frames = parse(&output(&mut command)?)
        .with_context(|| format!("cannot read the frames of {}", object.display()))?;
    ensure!(
        !frames.is_empty(),
        "{} says nothing of its stack frames",
        object.display()
    );
    Ok(frames)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Object {
    #[serde(default)]
    stack_sizes: Vec<Sized>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sized {
    entry: Entry,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    functions: Vec<String>,
    size: u64,
}

fn parse(text: &str) -> Result<Vec<Frame>> {
    let objects: Vec<Object> = serde_json::from_str(text)?;
    let entries = objects.into_iter().flat_map(|object| object.stack_sizes);
    let mut frames: Vec<Frame> = entries
        .map(|Sized { entry }| Frame {
            function: entry.functions.join(" = "),
            size: entry.size,
        })
        .filter(|frame| !frame.function.contains(TESTS))
        .collect();
    frames.sort_by(|a, b| b.size.cmp(&a.size).then(a.function.cmp(&b.function)));
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"[{"FileSummary":{"File":"blk_copy.o","AddressSize":"64bit"},"StackSizes":[
        {"Entry":{"Functions":["blk_copy::job::run"],"Size":1024}},
        {"Entry":{"Functions":["blk_copy::plan::tests::all"],"Size":9000}},
        {"Entry":{"Functions":["blk_copy::ffi::start","blkdev_copy"],"Size":1032}}]}]"#;

    #[test]
    fn large_frames_are_named() {
        let frames = parse(TEXT).unwrap();
        assert_eq!(frames.len(), 2);
        assert_eq!(
            complaints(&frames),
            ["1032 bytes: blk_copy::ffi::start = blkdev_copy"]
        );
        assert!(parse("[{}]").unwrap().is_empty());
        assert!(parse("no JSON").is_err());
    }
}
