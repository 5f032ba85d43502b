// SPDX-License-Identifier: GPL-2.0
//! `cfr nvme-copy`: one Copy command of NVMe, exactly as it is told, past the block layer.

pub mod command;

use std::path::PathBuf;

use anyhow::{bail, Context, Result};
use clap::Args;

use self::command::{Answer, Command, Namespace, Range};

#[derive(Args, Clone, Debug)]
pub struct NvmeCopyArgs {
    device: PathBuf,
    /// Source ranges in blocks, as START+COUNT,START+COUNT,...
    #[arg(value_parser = parse_ranges)]
    ranges: Ranges,
    /// First block of the destination
    #[arg(value_parser = parse_number)]
    to: u64,
    /// Descriptor format
    #[arg(long, default_value_t = 0)]
    format: u8,
    /// Number of ranges that the command claims to have
    #[arg(long)]
    count: Option<u32>,
    /// Bytes of data that come along, instead of those of the ranges
    #[arg(long)]
    len: Option<usize>,
    /// Further bits of command dword 12, such as 0x40000000 for FUA
    #[arg(long, value_parser = parse_number, default_value = "0")]
    bits: u64,
}

/// As one word of the command line.
#[derive(Clone, Debug)]
struct Ranges(Vec<Range>);

fn parse_number(text: &str) -> Result<u64> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.with_context(|| format!("`{text}` is not a number"))
}

fn parse_ranges(text: &str) -> Result<Ranges> {
    let parse = |range: &str| {
        let Some((start, count)) = range.split_once('+') else {
            bail!("`{range}` is not START+COUNT");
        };
        let blocks = u32::try_from(parse_number(count)?)?;
        let start = parse_number(start)?;
        Ok(Range { start, blocks })
    };
    text.split(',')
        .map(parse)
        .collect::<Result<_>>()
        .map(Ranges)
}

impl NvmeCopyArgs {
    pub fn run(&self) -> Result<String> {
        let namespace = Namespace::open(&self.device)?;
        let mut command = Command::new(self.to, &self.ranges.0);
        command.format = self.format;
        command.bits = u32::try_from(self.bits).context("too many bits")?;
        if let Some(count) = self.count {
            command.count = count;
        }
        if let Some(len) = self.len {
            command.data.resize(len, 0);
        }
        Ok(match namespace.send(&mut command) {
            Answer::Status(0, _) => String::from("copied"),
            Answer::Status(status, missing) => format!("status {status:#x}, range {missing}"),
            Answer::Errno(errno) => format!("error {errno:?}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let Ranges(list) = parse_ranges("8+1,0xff+65536").unwrap();
        let list: Vec<_> = list.iter().map(|r| (r.start, r.blocks)).collect();
        assert_eq!(list, [(8, 1), (255, 65536)]);
        for text in ["", "8", "8+", "+8", "8+1,", "a+1"] {
            assert!(parse_ranges(text).is_err(), "{text}");
        }
    }
}
