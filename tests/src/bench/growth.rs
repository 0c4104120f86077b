//! How figures grow with the number of sites: a table and a plot, carried on by the slope.
//!
//! What is measured and what is calculated is told apart in both.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Point;

mod plot;

pub(super) use plot::draw;

/// The number of sites that is calculated and not measured.
const CALCULATED: usize = 1_000_000;

/// One figure over the number of sites.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve {
    /// What it is, with its unit.
    name: &'static str,
    /// By number of sites.
    measured: BTreeMap<usize, f64>,
    /// At [`CALCULATED`] sites, if there are two points to carry on from.
    calculated: Option<f64>,
}

/// Sorts points into curves, in the order in which they first came.
pub(super) fn curves(points: Vec<Point>) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for Point { curve: name, sites, value } in points {
        match curves.iter_mut().find(|curve| curve.name == name) {
            Some(curve) => drop(curve.measured.insert(sites, value)),
            None => {
                curves.push(Curve { name, measured: BTreeMap::from([(sites, value)]), calculated: None });
            }
        }
    }
    curves.iter_mut().for_each(|curve| curve.calculated = carry_on(&curve.measured));
    curves
}

/// The value at [`CALCULATED`] sites on the straight line (in logarithms) through the last two points. A
/// figure that fell, which is noise, is carried on as it is.
fn carry_on(measured: &BTreeMap<usize, f64>) -> Option<f64> {
    let mut last = measured.iter().rev().map(|(sites, value)| ((*sites as f64).log10(), value.log10()));
    let ((x2, y2), (x1, y1)) = (last.next()?, last.next()?);
    let slope = ((y2 - y1) / (x2 - x1)).max(0.0);
    Some(10f64.powf(y2 + slope * ((CALCULATED as f64).log10() - x2)))
}

/// The curves as a Markdown table.
pub(super) fn table(curves: &[Curve]) -> String {
    let mut sites: Vec<usize> = curves.iter().flat_map(|curve| curve.measured.keys().copied()).collect();
    sites.sort_unstable();
    sites.dedup();
    let heads: Vec<String> = sites.iter().map(|sites| format!("{} sites", thousands(*sites))).collect();
    let mut table = format!("| what | {} | {}, calculated |\n", heads.join(" | "), thousands(CALCULATED));
    let _ = writeln!(table, "| --- |{}", " ---: |".repeat(sites.len() + 1));
    for curve in curves {
        let cells = sites.iter().map(|sites| curve.measured.get(sites).copied()).chain([curve.calculated]);
        let cells: Vec<String> = cells.map(|value| value.map(short).unwrap_or_default()).collect();
        let _ = writeln!(table, "| {} | {} |", curve.name, cells.join(" | "));
    }
    table
}

/// Three digits that count.
fn short(value: f64) -> String {
    let decimals = (2 - value.abs().log10().floor().clamp(-4.0, 2.0) as i32).unsigned_abs() as usize;
    format!("{value:.decimals$}")
}

/// `100,000`.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(curve: &'static str, sites: usize, value: f64) -> Point {
        Point { curve, sites, value }
    }

    #[test]
    fn a_straight_line_is_carried_on() {
        let points = vec![
            point("full compile, ms", 10_000, 20.0),
            point("one site, ms", 10_000, 0.5),
            point("full compile, ms", 100_000, 200.0),
            point("one site, ms", 100_000, 0.4),
        ];
        let curves = curves(points);
        assert_eq!(
            table(&curves),
            "| what | 10,000 sites | 100,000 sites | 1,000,000, calculated |\n| --- | ---: | ---: | ---: |\n\
             | full compile, ms | 20.0 | 200 | 2000 |\n| one site, ms | 0.500 | 0.400 | 0.400 |\n"
        );
    }

    #[test]
    fn one_point_is_not_carried_on() {
        assert_eq!(curves(vec![point("x", 1_000, 3.0)])[0].calculated, None);
    }

    #[test]
    fn the_plot_has_every_curve_and_marks_what_is_calculated() {
        let points =
            [1_000, 10_000, 100_000].map(|sites| point("full < compile, ms", sites, sites as f64 / 10.0));
        let svg = draw(&curves(points.to_vec()));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
        assert!(svg.contains("full &lt; compile, ms"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 4, "three points and one calculated");
        assert_eq!(svg.matches("stroke-dasharray").count(), 1, "the way to what is calculated");
        assert_eq!(svg.matches("fill=\"white\"").count(), 2, "the ground, and the calculated point");
    }
}
