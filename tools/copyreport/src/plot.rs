// SPDX-License-Identifier: GPL-2.0
//! Plots, as SVG.
//!
//! Colours are those of [`LIGHT`]; a style sheet, [`style`], replaces each by its counterpart where the reader
//! likes it dark.

use std::fmt::Write;
use std::ops::Range;

use anyhow::{anyhow, Context, Result};
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::stats::spread;
use crate::units::rate;
use crate::{Benchmark, Report, Row};

/// A colour, and the one that takes its place in the dark.
type Pair = ((u8, u8, u8), (u8, u8, u8));

const INK: Pair = ((0x1f, 0x23, 0x28), (0xe6, 0xed, 0xf3));
/// Behind a picture that is a file of its own: nobody knows on what it is shown.
const BACK: Pair = ((0xff, 0xff, 0xff), (0x0d, 0x11, 0x17));
const FAINT: Pair = ((0xd8, 0xde, 0xe4), (0x3a, 0x42, 0x4c));
const WHISKER: Pair = ((0x59, 0x63, 0x6e), (0x91, 0x98, 0xa1));
/// What is not ours, in bars.
const OTHERS: Pair = ((0xaf, 0xb8, 0xc1), (0x65, 0x6d, 0x76));

/// Of series, and the first of what is ours.
const SERIES: [Pair; 8] = [
    ((0x09, 0x69, 0xda), (0x58, 0xa6, 0xff)),
    ((0xd1, 0x5b, 0x00), (0xf0, 0x88, 0x3e)),
    ((0x1a, 0x7f, 0x37), (0x56, 0xd3, 0x64)),
    ((0x82, 0x50, 0xdf), (0xbc, 0x8c, 0xff)),
    ((0xbf, 0x39, 0x89), (0xf7, 0x78, 0xba)),
    ((0x1b, 0x7c, 0x83), (0x39, 0xc5, 0xcf)),
    ((0x9a, 0x67, 0x00), (0xe3, 0xb3, 0x41)),
    ((0x6e, 0x77, 0x81), (0x8b, 0x94, 0x9e)),
];

const WIDTH: u32 = 860;
const FONT: &str = "sans-serif";

/// The colour of a series, as HTML has it.
pub fn colour(series: usize) -> String {
    hex(SERIES[series % SERIES.len()].0)
}

/// Rules that replace colours, for all elements within `scope`.
pub fn style(scope: &str) -> String {
    let mut text = String::from("@media (prefers-color-scheme: dark) {\n");
    for (light, dark) in [INK, BACK, FAINT, WHISKER, OTHERS].iter().chain(&SERIES) {
        let (light, dark) = (hex(*light), hex(*dark));
        let _ = writeln!(
            text,
            "{scope} [fill=\"{light}\"] {{ fill: {dark} }} {scope} [stroke=\"{light}\"] {{ stroke: {dark} }}"
        );
    }
    text + "}\n"
}

/// A picture that is a file of its own.
pub fn standalone(svg: &str) -> String {
    let back = format!(
        "<rect width=\"100%\" height=\"100%\" fill=\"{}\"/>",
        hex(BACK.0)
    );
    let style = format!("<style>\n{}</style>\n{back}\n", style("svg"));
    match svg.split_once('>') {
        // Behind the first tag.
        Some((tag, rest)) => format!("{tag}>\n{style}{}\n", rest.trim_start()),
        None => svg.into(),
    }
}

/// The plot of the first benchmark, as a file of its own.
pub fn headline(report: &Report) -> Result<String> {
    let first = report.results().next();
    let first = first.context("there is no result to draw")?;
    let drawn = match first.axis {
        Some(_) => lines(first)?,
        None => bars(&first.variants)?,
    };
    Ok(standalone(&drawn))
}

/// Bars of the rates, the least and the largest of the rounds as whiskers.
pub fn bars(rows: &[Row]) -> Result<String> {
    const HEIGHT: u32 = 26;
    const LABEL: i32 = 330;
    const VALUE: i32 = 90;
    let height = HEIGHT * u32::try_from(rows.len())? + 8;
    draw((WIDTH, height), |area| {
        let fastest = rows.iter().map(|row| rates(row).1).fold(0.0, f64::max);
        let room = WIDTH as i32 - LABEL - VALUE;
        // From 0 to the room.
        let at = |rate: f64| LABEL + (rate / fastest * f64::from(room)).round() as i32;
        for (index, row) in (0..).zip(rows) {
            let middle = index * HEIGHT as i32 + HEIGHT as i32 / 2 + 4;
            let text = |pos| text(16).pos(Pos::new(pos, VPos::Center));
            area.draw(&Text::new(
                shown(&row.label),
                (LABEL - 10, middle),
                text(HPos::Right),
            ))?;
            let colour = if row.ours { SERIES[0] } else { OTHERS };
            let end = at(row.bytes_per_second);
            area.draw(&Rectangle::new(
                [(LABEL, middle - 9), (end, middle + 9)],
                rgb(colour).filled(),
            ))?;
            let (least, largest) = rates(row);
            let (least, largest) = (at(least), at(largest));
            area.draw(&PathElement::new(
                vec![(least, middle), (largest, middle)],
                rgb(WHISKER),
            ))?;
            for x in [least, largest] {
                let whisker = vec![(x, middle - 4), (x, middle + 4)];
                area.draw(&PathElement::new(whisker, rgb(WHISKER)))?;
            }
            area.draw(&Text::new(
                rate(row.bytes_per_second),
                (end.max(largest) + 8, middle),
                text(HPos::Left),
            ))?;
        }
        Ok(())
    })
}

/// Lines of the rates over the axis of the benchmark.
pub fn lines(benchmark: &Benchmark) -> Result<String> {
    let places = benchmark.places();
    let rates = benchmark.variants.iter().map(|row| row.bytes_per_second);
    let scale = Scale::new(&rates.collect::<Vec<f64>>());
    let last = places.len().saturating_sub(1) as f64;
    let xs: Vec<f64> = (0..places.len()).map(|index| index as f64).collect();
    let name = |x: &f64| -> String {
        // A key point, so a small whole number.
        places
            .get(x.round() as usize)
            .copied()
            .unwrap_or_default()
            .into()
    };
    draw((WIDTH, 340), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .margin_right(24)
            .x_label_area_size(46)
            .y_label_area_size(92)
            .build_cartesian_2d(
                Marked {
                    low: -0.15,
                    high: last + 0.15,
                    ticks: xs,
                },
                Marked {
                    low: scale.low,
                    high: scale.high,
                    ticks: scale.ticks.clone(),
                },
            )?;
        let axis = benchmark.axis.clone().unwrap_or_default();
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(rgb(FAINT))
            .axis_style(rgb(WHISKER))
            .label_style(text(16))
            .axis_desc_style(text(16))
            .x_labels(places.len())
            .x_label_formatter(&name)
            .y_label_formatter(&|y| scale.label(*y))
            .x_desc(axis)
            .draw()?;
        for (index, series) in benchmark.series().into_iter().enumerate() {
            let colour = rgb(SERIES[index % SERIES.len()]);
            let points: Vec<(f64, f64)> = (0..)
                .zip(&places)
                .filter_map(|(x, place)| {
                    let row = benchmark.at(series, place)?;
                    Some((f64::from(x), scale.at(row.bytes_per_second)))
                })
                .collect();
            let circles = points
                .iter()
                .map(|point| Circle::new(*point, 4, colour.filled()));
            let circles: Vec<_> = circles.collect();
            chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
            chart.draw_series(circles)?;
        }
        Ok(())
    })
}

/// An axis with marks at these places and no others.
struct Marked {
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Ranged for Marked {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let part = (value - self.low) / (self.high - self.low);
        limit.0 + (part * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

/// Where a rate is in a plot.
struct Scale {
    /// Whether places are powers of two.
    log: bool,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Scale {
    /// From the largest to the smallest is too far for a scale that shows the smaller ones.
    const FAR: f64 = 12.0;

    fn new(rates: &[f64]) -> Self {
        let (least, largest) = spread(rates);
        if largest > 0.0 && least > 0.0 && largest / least > Self::FAR {
            let (low, high) = ((least * 0.8).log2().floor(), (largest * 1.1).log2().ceil());
            // Few enough to read.
            let step = ((high - low) / 6.0).ceil().max(1.0);
            let count = ((high - low) / step) as u32;
            let ticks = (0..=count).map(|n| low + step * f64::from(n)).collect();
            return Self {
                log: true,
                low,
                high,
                ticks,
            };
        }
        let high = largest.max(1.0) * 1.1;
        // Steps of a power of two, of which there are four to eight.
        let step = 2f64.powf((high / 4.0).log2().floor());
        let ticks = (0..=(high / step) as u32)
            .map(|n| step * f64::from(n))
            .collect();
        Self {
            log: false,
            low: 0.0,
            high,
            ticks,
        }
    }

    fn at(&self, rate: f64) -> f64 {
        if self.log {
            rate.log2()
        } else {
            rate
        }
    }

    fn label(&self, at: f64) -> String {
        rate(if self.log { at.exp2() } else { at })
    }
}

/// The least and the largest rate of the rounds.
fn rates(row: &Row) -> (f64, f64) {
    let (short, long) = spread(&row.seconds);
    (row.bytes as f64 / long, row.bytes as f64 / short)
}

/// What there is room for.
fn shown(label: &str) -> String {
    const MOST: usize = 52;
    if label.chars().count() <= MOST {
        return label.into();
    }
    label.chars().take(MOST - 1).chain(['…']).collect()
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(size: (u32, u32), what: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        what(&area).map_err(|error| anyhow!("cannot draw: {error}"))?;
        area.present()?;
    }
    Ok(svg)
}

fn text(size: u32) -> TextStyle<'static> {
    (FONT, size).into_font().color(&rgb(INK))
}

fn rgb(((r, g, b), _): Pair) -> RGBColor {
    RGBColor(r, g, b)
}

fn hex((r, g, b): (u8, u8, u8)) -> String {
    format!("#{r:02X}{g:02X}{b:02X}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn results() -> Vec<Benchmark> {
        samples::report().results().cloned().collect()
    }

    #[test]
    fn every_row_has_a_bar() {
        let chunk = &results()[0];
        let svg = bars(&chunk.variants).unwrap();
        assert_eq!(svg.matches("<rect").count(), 2, "{svg}");
        for part in ["4 KiB", "1.56 GiB/s", "3.12 GiB/s"] {
            assert!(svg.contains(part), "{part} is missing in {svg}");
        }
    }

    #[test]
    fn labels_are_escaped() {
        let svg = bars(&[samples::row("a <b> & c", &[1.0], 1)]).unwrap();
        assert!(svg.contains("a &lt;b&gt; &amp; c"), "{svg}");
    }

    #[test]
    fn every_point_is_drawn() {
        let svg = lines(&results()[1]).unwrap();
        assert_eq!(svg.matches("<circle").count(), 6, "{svg}");
        for part in ["20 us", "100 us", "latency", &colour(0), &colour(1)] {
            assert!(svg.contains(part), "{part} is missing in {svg}");
        }
        assert!(!svg.contains(&colour(2)));
    }

    #[test]
    fn every_colour_has_a_dark_counterpart() {
        let svg = headline(&samples::report()).unwrap();
        assert!(svg.starts_with("<svg ") && svg.contains("prefers-color-scheme: dark"));
        let style = style("svg");
        let lines = lines(&results()[1]).unwrap();
        let svg = svg.split("</style>").nth(1).unwrap();
        let attributes = svg.split("fill=\"").skip(1);
        for attribute in attributes.chain(lines.split("stroke=\"").skip(1)) {
            let colour = attribute.split('"').next().unwrap();
            let replaced = style.contains(&format!("[fill=\"{colour}\"]"));
            assert!(replaced || colour == "none", "{colour}");
        }
    }

    #[test]
    fn scales() {
        let near = Scale::new(&[1e9, 3e9]);
        assert!(!near.log && near.low == 0.0 && near.high > 3e9);
        assert!((4..=9).contains(&near.ticks.len()), "{:?}", near.ticks);
        let far = Scale::new(&[1e6, 3e9]);
        assert!(far.log && far.ticks.len() <= 8);
        assert!(far.low <= 1e6f64.log2() && far.high >= 3e9f64.log2());
        assert_eq!(far.label(30.0), "1.00 GiB/s");
        assert!(Scale::new(&[]).high > 0.0);
    }
}
