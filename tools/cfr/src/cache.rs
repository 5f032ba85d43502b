// SPDX-License-Identifier: GPL-2.0
//! The page cache of a device, for tests that go past it.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{bail, Context, Result};
use nix::errno::Errno;
use nix::fcntl::{posix_fadvise, PosixFadviseAdvice};
use nix::libc;

/// Writes back what the page cache has, and drops it. A page that somebody else has in hand at that moment
/// stays, and says nothing: device mapper writes back before it suspends, for example. So it is looked at, and
/// dropped again.
pub fn drop_pages(file: &File) -> Result<()> {
    for _ in 0..5000 {
        try_to_drop_pages(file)?;
        if pages(file).context("cannot count cached pages")? == 0 {
            return Ok(());
        }
        sleep(Duration::from_millis(1));
    }
    bail!("pages stay in the page cache")
}

/// Writes back what the page cache has, and drops what nobody else has in hand.
pub fn try_to_drop_pages(file: &File) -> Result<()> {
    file.sync_all().context("cannot sync")?;
    posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)
        .context("cannot drop cached pages")
}

/// The number of cachestat(2), which is the same everywhere.
const CACHESTAT: libc::c_long = 451;

/// What cachestat(2) tells: pages that are cached, dirty, under writeback, evicted, and lately so.
type Stat = [u64; 5];

/// Pages in the page cache.
fn pages(file: &File) -> nix::Result<u64> {
    // From the start to the end.
    let (range, mut stat): ([u64; 2], Stat) = ([0; 2], [0; 5]);
    // SAFETY: The call reads two numbers and writes five, and there are as many.
    let result = unsafe {
        libc::syscall(
            CACHESTAT,
            file.as_raw_fd(),
            range.as_ptr(),
            stat.as_mut_ptr(),
            0,
        )
    };
    Errno::result(result)?;
    Ok(stat[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn pages_are_dropped() {
        // Where programs are built there is a disk; the folder for temporary files may be in memory.
        let program = std::env::current_exe().unwrap();
        let mut file = tempfile::NamedTempFile::new_in(program.parent().unwrap()).unwrap();
        file.write_all(&[1; 65536]).unwrap();
        // An older kernel does not know the call, and some file systems keep what they have.
        if pages(file.as_file()).is_ok_and(|count| count == 16)
            && drop_pages(file.as_file()).is_ok()
        {
            assert_eq!(pages(file.as_file()), Ok(0));
        }
    }
}
