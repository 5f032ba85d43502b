// SPDX-License-Identifier: GPL-2.0
//! What `./x test` can be told to run.

use clap::builder::PossibleValue;
use clap::builder::TypedValueParser;
use clap::ValueEnum;

use super::Suite;

/// What can be named: a suite, or a test of a guest, such as `block/036`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Suite(Suite),
    Test(String),
}

impl Target {
    /// Reads both; the suites are what a help text lists.
    pub fn parser() -> impl TypedValueParser<Value = Self> {
        TargetParser
    }
}

#[derive(Clone)]
struct TargetParser;

impl TypedValueParser for TargetParser {
    type Value = Target;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Target, clap::Error> {
        match value.to_str() {
            Some(text) if text.contains('/') => Ok(Target::Test(String::from(text))),
            _ => clap::value_parser!(Suite)
                .parse_ref(command, argument, value)
                .map(Target::Suite),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let values = Suite::value_variants().iter();
        Some(Box::new(values.filter_map(Suite::to_possible_value)))
    }
}
