// SPDX-License-Identifier: GPL-2.0
//! The ways in which a command ends other than well, and their exit codes.

use thiserror::Error;

/// Text for `--help`; keep it in step with [`Failure::exit_code`].
pub const EXIT_CODES: &str = "\
Exit codes:
  0    done (and verified, where asked)
  1    an I/O error or another failure; what was copied is reported
  2    the command line is wrong
  3    refused before anything was written: the device is in use, the range
       does not fit, is not aligned, or overlaps
  4    --verify found a difference
  5    --require-offload: the device does not copy this; what was copied is
       reported
  130  interrupted (SIGINT); what was copied is reported
  143  the same by SIGTERM";

/// The exit code of a copy that SIGTERM has interrupted.
pub const TERMINATED: u8 = 143;

/// Why a command did not do what was asked.
#[derive(Debug, Error)]
pub enum Failure {
    /// Nothing was written. The text says what to do about it.
    #[error("{0}")]
    Refused(String),
    /// The copy was started and did not finish.
    #[error("{0}")]
    Incomplete(String),
    /// Source and destination differ after the copy.
    #[error(
        "verification failed: the first difference is at byte {offset} of the copied range \
         (source offset {src}, destination offset {dst}); do not trust the destination"
    )]
    Differs { offset: u64, src: u64, dst: u64 },
    /// Only the device was to copy, and it does not. The text says why, and how far it came.
    #[error("{0}")]
    NotOffloaded(String),
    /// SIGINT; after SIGTERM the program ends with [`TERMINATED`].
    #[error("interrupted. {0}")]
    Interrupted(String),
}

impl Failure {
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Incomplete(_) => 1,
            Failure::Refused(_) => 3,
            Failure::Differs { .. } => 4,
            Failure::NotOffloaded(_) => 5,
            Failure::Interrupted(_) => 130,
        }
    }
}

/// The exit code of any error: a [`Failure`]'s own, else 1.
pub fn exit_code(err: &anyhow::Error) -> u8 {
    err.downcast_ref::<Failure>().map_or(1, Failure::exit_code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_failure_keeps_its_code_under_context() {
        let err = anyhow::Error::from(Failure::Refused("no".into()));
        assert_eq!(exit_code(&err), 3);
        let err = Err::<(), _>(err).context("while trying").unwrap_err();
        assert_eq!(exit_code(&err), 3);
        assert_eq!(exit_code(&anyhow::anyhow!("else")), 1);
    }

    #[test]
    fn every_code_is_documented() {
        let all = [
            Failure::Refused(String::new()),
            Failure::Incomplete(String::new()),
            Failure::Differs {
                offset: 0,
                src: 0,
                dst: 0,
            },
            Failure::NotOffloaded(String::new()),
            Failure::Interrupted(String::new()),
        ];
        for failure in all {
            let line = format!("\n  {} ", failure.exit_code());
            assert!(EXIT_CODES.contains(&line), "{failure:?}");
        }
        assert!(EXIT_CODES.contains(&format!("\n  {TERMINATED} ")));
    }
}
