// SPDX-License-Identifier: GPL-2.0
//! `cfr sweep place`: one part of what is copied after the other fails.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{ensure, Context, Result};
use clap::Args;

use super::fault::{Place, PlaceArgs};
use super::region::WriteBack;
use super::{counted, judge, kind_of, nothing_in_flight, text, CopyArgs, Stage, Tally};
use crate::copy::Outcome;

#[derive(Args, Clone, Debug)]
pub struct ByPlaceArgs {
    #[command(flatten)]
    copy: CopyArgs,
    #[command(flatten)]
    place: PlaceArgs,
}

impl ByPlaceArgs {
    pub fn run(&self) -> Result<String> {
        let mut stage = Stage::new(&self.copy)?;
        let mut place = Place::open(&self.place)?;
        if self.place.partly {
            stage.region.may_fail_in_part(self.place.within)?;
        }
        let steps = self.place.steps(self.copy.len);
        let mut tally = Tally::new();
        for step in 0..=steps {
            let outcome = self.step(&mut stage, &mut place, step);
            let at = self.place.at(step);
            let outcome = outcome.with_context(|| format!("a fault at {at}"))?;
            let name = if step < steps { "fault" } else { "none" };
            *tally
                .entry((name, kind_of(outcome, self.copy.len)))
                .or_default() += 1;
        }
        stage.log(&format!("{}, {}{}", self.copy.way, place, text(&tally)))?;
        Ok(format!("exact at each of {steps} places"))
    }

    fn step(&self, stage: &mut Stage, place: &mut Place, step: u64) -> Result<Outcome> {
        let (way, len) = (&self.copy.way, self.copy.len);
        let at = self.place.at(step);
        sleep(Duration::from_millis(self.place.pause_ms));
        stage.prepare(u32::try_from(step)? + 1)?;
        let asked = self.place.below.as_deref().unwrap_or(&self.copy.dst);
        let before = counted(asked, "fallback_notsupp")?;
        let (_, to, _) = stage.copier.place();
        place.arm(step, way, len, to - self.copy.dst_off)?;
        let outcome = stage.copier.copy();
        // What is written later meets it as well.
        let met = at < len;
        let due = if met { self.place.due } else { None };
        let late = due.filter(|_| self.place.late);
        let checked = outcome.and_then(|outcome| {
            let now = if late.is_some() { None } else { due };
            judge::at_place(way, now, outcome, len).context(outcome)?;
            if let Some(errno) = late {
                stage.check(outcome, WriteBack::Fails(errno))?;
            }
            Ok(outcome)
        });
        let disarmed = place.disarm();
        let outcome = checked?;
        disarmed?;
        if self.place.due.is_none() {
            // All was copied in any case: only this tells that the device was asked, and has refused.
            ensure!(
                (counted(asked, "fallback_notsupp")? > before) == met,
                "{outcome}, but the device was {}asked in vain",
                if met { "not " } else { "" }
            );
        }
        if late.is_none() {
            let write_back = match due {
                Some(_) => WriteBack::MayFail,
                None => WriteBack::Whole,
            };
            stage.check(outcome, write_back).context(outcome)?;
        }
        if due.is_some() {
            let told = way.tells_part() && late.is_none();
            let copied = if told {
                outcome.copied
            } else {
                stage.region.prefix()?
            };
            let exact = (copied..copied + self.place.within).contains(&at);
            ensure!(
                exact,
                "{outcome}, {copied} bytes are there, which is not where the fault is"
            );
        }
        nothing_in_flight(asked)?;
        Ok(outcome)
    }
}
