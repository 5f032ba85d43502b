// SPDX-License-Identifier: GPL-2.0
//! One page that needs no network: plots, tables, the machine, and the data.

use anyhow::Result;
use maud::{html, Markup, PreEscaped, DOCTYPE};

use crate::stats::spread;
use crate::units::{bytes, count, rate, size, time};
use crate::{plot, Benchmark, Entry, Goal, Machine, Ratio, Report, Row};

const STYLE: &str = include_str!("page.css");

/// The page.
pub fn page(report: &Report) -> Result<String> {
    let mut parts = Vec::new();
    for entry in &report.benchmarks {
        parts.push(match entry {
            Entry::Result(result) => benchmark(result)?,
            Entry::Error { name, error } => html! {
                section id=(name) {
                    h2 { (name) }
                    p.missed { "No result: " (error) }
                }
            },
        });
    }
    // Anything but the end of the element is fine in it.
    let json = report.json()?.replace("</", "<\\/");
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Copy offload: Linux " (report.kernel) }
                style { (PreEscaped(STYLE)) (PreEscaped(plot::style("svg"))) }
            }
            body {
                h1 { "Copy offload, measured" }
                (introduction(report))
                (contents(report))
                (goals(report))
                @for part in &parts { (part) }
                h2 { "Data" }
                p { "All of it is in this page as JSON: the element with the id " code { "data" } "." }
                script type="application/json" id="data" { (PreEscaped(json)) }
            }
        }
    };
    Ok(markup.into_string())
}

fn introduction(report: &Report) -> Markup {
    html! {
        p {
            "Ways to copy the same data take turns in one boot of one guest. Numbers are medians of "
            (report.repeat) " such rounds; whiskers and ranges in brackets are the least and the largest. "
            "Before each timed run the same way runs once untimed, unless its last run took more than a second: so all find the "
            "processor's caches alike. "
            "Every run was checked: requests, bytes read, and the kernel's own counters have to say that "
            "the data went the way that the row names. Ratios are taken round by round. Times of different "
            "machines or boots say little."
        }
        p {
            "Beside time, rows have what else a way takes. " b { "Switches" } ": context switches of the whole guest "
            "while the way ran, with all that it starts. " b { "In memory" } ": the most data that was read, or about "
            "to be, and not yet written; " b { "copying" } ": the most that drivers were asked to copy and had not "
            "copied yet. Both are from a trace of one run that was not timed. A question mark stands where that "
            "cannot be known: the way does not write just what it reads."
        }
        @if let Some(machine) = &report.machine { (machine_table(machine, &report.kernel)) }
    }
}

fn machine_table(machine: &Machine, kernel: &str) -> Markup {
    let guest = format!(
        "{}, {}, {} of memory",
        machine.guest,
        processors(machine.guest_cpus as usize),
        bytes(machine.guest_memory)
    );
    let cpu = format!("{}, {}", machine.cpu, processors(machine.cpus));
    html! {
        table.facts {
            @for (name, value) in [
                ("kernel", kernel),
                ("guest", &guest),
                ("host", &cpu),
                ("host's kernel", &machine.host),
                ("when", &machine.date),
                ("commit", &machine.commit),
            ] {
                tr { th { (name) } td { (value) } }
            }
            tr { th { "command" } td { code { (machine.command) } } }
        }
    }
}

fn processors(count: usize) -> String {
    match count {
        1 => "1 processor".into(),
        _ => format!("{count} processors"),
    }
}

fn contents(report: &Report) -> Markup {
    html! {
        nav {
            @for entry in &report.benchmarks {
                @let name = match entry {
                    Entry::Result(benchmark) => &benchmark.name,
                    Entry::Error { name, .. } => name,
                };
                a href={ "#" (name) } { (name) } " "
            }
        }
    }
}

/// All goals, those that are missed first.
fn goals(report: &Report) -> Markup {
    let all = report.results().flat_map(|benchmark| {
        let ratios = benchmark.ratios.iter();
        ratios.filter_map(move |ratio| Some((benchmark, ratio, ratio.goal?)))
    });
    let (missed, met): (Vec<_>, Vec<_>) = all.partition(|(_, ratio, _)| ratio.is_missed());
    html! {
        h2 { "Goals" }
        p { (met.len()) " met, " (missed.len()) " missed." }
        @if !missed.is_empty() { (goal_table(&missed)) }
        @if !met.is_empty() {
            details {
                summary { (met.len()) " that are met" }
                (goal_table(&met))
            }
        }
    }
}

fn goal_table(goals: &[(&Benchmark, &Ratio, Goal)]) -> Markup {
    html! {
        table {
            tr { th { "benchmark" } th { "what" } th.number { "found" } th.number { "goal" } th {} th { "why" } }
            @for (benchmark, ratio, goal) in goals { (goal_row(benchmark, ratio, *goal)) }
        }
    }
}

fn goal_row(benchmark: &Benchmark, ratio: &Ratio, goal: Goal) -> Markup {
    html! {
        tr {
            td { a href={ "#" (benchmark.name) } { (benchmark.name) } }
            td { (ratio.statement()) }
            td.number { (format!("{:.2} ({:.2} … {:.2})", ratio.median, ratio.min, ratio.max)) }
            td.number { (goal.text()) }
            td { @if ratio.is_missed() { span.missed { "missed" } } @else { span.met { "met" } } }
            td { (ratio.why().unwrap_or_default()) }
        }
    }
}

fn benchmark(benchmark: &Benchmark) -> Result<Markup> {
    let drawn = if benchmark.axis.is_some() {
        html! {
            p.legend {
                @for (index, series) in benchmark.series().iter().enumerate() {
                    span {
                        svg width="14" height="14" { circle cx="7" cy="8" r="5" fill=(plot::colour(index)) {} }
                        (series)
                    }
                }
            }
            (picture(&plot::lines(benchmark)?))
        }
    } else {
        picture(&plot::bars(&benchmark.variants)?)
    };
    let fastest = benchmark.variants.iter().map(|row| row.bytes_per_second);
    let fastest = fastest.fold(0.0, f64::max);
    Ok(html! {
        section id=(benchmark.name) {
            h2 { (benchmark.name) }
            p { (benchmark.title) }
            (drawn)
            @if !benchmark.ratios.is_empty() || !benchmark.notes.is_empty() {
                ul {
                    @for ratio in &benchmark.ratios { li class=[class(ratio)] { (ratio.text()) } }
                    @for note in &benchmark.notes { li { (note) } }
                }
            }
            details {
                summary { (benchmark.variants.len()) " rows, with evidence" }
                table {
                    tr {
                        th { "way" } th.number { "time" } th.number { "spread" } th.number { "rate" } th {}
                        th.number { "switches" } th.number { "in memory" } th.number { "copying" } th { "evidence" }
                    }
                    @for row in &benchmark.variants { (table_row(row, fastest)) }
                }
            }
        }
    })
}

fn class(ratio: &Ratio) -> Option<&'static str> {
    ratio.is_missed().then_some("missed")
}

fn picture(svg: &str) -> Markup {
    html! { div.plot { (PreEscaped(svg)) } }
}

fn table_row(row: &Row, fastest: f64) -> Markup {
    let (least, largest) = spread(&row.seconds);
    let part = format!("width: {:.1}%", 100.0 * row.bytes_per_second / fastest);
    html! {
        tr {
            td {
                (row.label)
                @if let Some(command) = &row.command { br; code { (command) } }
            }
            td.number { (time(row.median_seconds)) }
            td.number { (time(least)) " … " (time(largest)) }
            td.number { (rate(row.bytes_per_second)) }
            td.bar { div style=(part) {} }
            td.number { (count(row.cost.context_switches)) }
            td.number { (size(row.cost.in_memory)) }
            td.number { (size(row.cost.copying)) }
            td { (row.evidence) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn everything_is_in_it() {
        let page = page(&samples::report()).unwrap();
        for part in [
            "<!DOCTYPE html>",
            "prefers-color-scheme: dark",
            "Linux 7.3.4",
            "4 KiB takes 2.00 x as long as 1 MiB",
            "missed",
            "0 met, 1 missed.",
            "No result: no module",
            "16384 copies, nothing read",
            "<td class=\"number\">7</td><td class=\"number\">0 B</td><td class=\"number\">1 MiB</td>",
            "<td class=\"number\">7</td><td class=\"number\">?</td><td class=\"number\">?</td>",
            "<code>./x bench</code>",
        ] {
            assert!(page.contains(part), "{part} is missing");
        }
        assert_eq!(page.matches("<svg").count(), 2 + 2);
    }

    #[test]
    fn nothing_is_fetched() {
        let page = page(&samples::report()).unwrap();
        for part in [
            "<link",
            "<script src",
            "@import",
            "url(",
            "<img",
            "https://",
        ] {
            assert!(!page.contains(part), "{part}");
        }
    }

    #[test]
    fn text_stays_text() {
        let mut report = samples::report();
        let hostile = "</script><script>alert(1)</script>";
        report.kernel = hostile.into();
        let page = page(&report).unwrap();
        assert!(!page.contains(hostile), "{page}");
        assert!(page.contains("64 MiB &amp; more"));
        assert!(page.contains("a command has &lt;its&gt; price"));
        assert!(page.contains("Fast &amp; Cheap &lt;3&gt;"));
        // What is in the page as data is the report.
        let data = page.split("id=\"data\">").nth(1).unwrap();
        let data = data.split("</script>").next().unwrap();
        assert_eq!(Report::parse(data).unwrap(), report);
    }
}
