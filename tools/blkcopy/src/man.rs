// SPDX-License-Identifier: GPL-2.0
//! The manual page: one for all commands.

use std::io::Write;

use anyhow::Result;
use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::Cli;

/// The page, as roff.
pub fn page() -> Result<Vec<u8>> {
    let mut cli = Cli::command().disable_help_subcommand(true);
    cli.build();
    let main = Man::new(cli.clone());
    let mut page = Vec::new();
    main.render_title(&mut page)?;
    main.render_name_section(&mut page)?;
    main.render_synopsis_section(&mut page)?;
    main.render_description_section(&mut page)?;
    main.render_options_section(&mut page)?;
    for command in cli.get_subcommands() {
        // The sections of its own page are parts of a section here.
        let own = Man::new(command.clone());
        let mut sections = Vec::new();
        own.render_description_section(&mut sections)?;
        own.render_synopsis_section(&mut sections)?;
        own.render_options_section(&mut sections)?;
        let parts = String::from_utf8(sections)?.replace("\n.SH ", "\n.SS ");
        let name = command.get_name().to_uppercase();
        write!(page, ".SH \"BLKCOPY {name}\"\n{parts}")?;
    }
    main.render_extra_section(&mut page)?;
    main.render_version_section(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_options_of_all_commands() {
        let page = String::from_utf8(page().unwrap()).unwrap();
        let plain = page.replace('\\', "");
        for needed in [
            "--engine",
            "--source",
            "--dst-offset",
            "COMMAND",
            "Exit codes:",
            "SH \"BLKCOPY GATHER\"",
        ] {
            assert!(plain.contains(needed), "{needed}:\n{page}");
        }
        // There are no other pages.
        assert!(!plain.contains("(1)"), "{page}");
    }
}
