//! How figures grow with the number of sites: a table and a plot, carried on by the slope.
//!
//! What is measured and what is calculated is told apart in both.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Point;

mod plot;

pub(super) use plot::draw;

/// Numbers of sites that are calculated where they were not measured.
const CALCULATED: [usize; 2] = [100_000, 1_000_000];

/// One figure over the number of sites.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve {
    /// What it is, with its unit after the last comma.
    name: &'static str,
    /// By number of sites.
    measured: BTreeMap<usize, f64>,
    /// Beyond the last measured one, if there are two points to carry on from.
    calculated: BTreeMap<usize, f64>,
}

impl Curve {
    fn unit(&self) -> &'static str {
        self.name.rsplit_once(", ").map_or("", |(_, unit)| unit)
    }
}

/// Sorts points into curves, in the order in which they first came.
pub(super) fn curves(points: Vec<Point>) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for Point { curve: name, sites, value } in points {
        match curves.iter_mut().find(|curve| curve.name == name) {
            Some(curve) => drop(curve.measured.insert(sites, value)),
            None => {
                let measured = BTreeMap::from([(sites, value)]);
                curves.push(Curve { name, measured, calculated: BTreeMap::new() });
            }
        }
    }
    curves.iter_mut().for_each(|curve| curve.calculated = carry_on(&curve.measured));
    curves
}

/// The values at those of [`CALCULATED`] that are beyond what was measured.
fn carry_on(measured: &BTreeMap<usize, f64>) -> BTreeMap<usize, f64> {
    let mut last = measured.iter().rev().map(|(sites, value)| (*sites as f64, *value));
    let (Some(second), Some(first)) = (last.next(), last.next()) else { return BTreeMap::new() };
    let beyond = CALCULATED.into_iter().filter(|sites| *sites as f64 > second.0);
    beyond.map(|sites| (sites, at(sites as f64, first, second))).collect()
}

/// The value on the straight line through two points: a part that is always there, and a part for each site. What
/// grew faster than the sites goes on as their power. What fell, which is noise, stays.
fn at(sites: f64, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> f64 {
    let slope = ((y2 - y1) / (x2 - x1)).max(0.0);
    let exponent = (y2 / y1).log10() / (x2 / x1).log10();
    let line = y2 + slope * (sites - x2);
    if exponent > 1.0 { line.max(y2 * (sites / x2).powf(exponent)) } else { line }
}

/// The curves as a Markdown table.
pub(super) fn table(curves: &[Curve]) -> String {
    let all = curves.iter().flat_map(|curve| curve.measured.keys().chain(curve.calculated.keys()));
    let mut sites: Vec<usize> = all.copied().collect();
    sites.sort_unstable();
    sites.dedup();
    let heads: Vec<String> = sites.iter().map(|sites| format!("{} sites", thousands(*sites))).collect();
    let mut table = format!("| what | {} |\n", heads.join(" | "));
    let _ = writeln!(table, "| --- |{}", " ---: |".repeat(sites.len()));
    for curve in curves {
        let cell = |sites: &usize| {
            let calculated = || curve.calculated.get(sites).map(|value| format!("≈ {}", short(*value)));
            curve.measured.get(sites).map(|value| short(*value)).or_else(calculated).unwrap_or_default()
        };
        let cells: Vec<String> = sites.iter().map(cell).collect();
        let _ = writeln!(table, "| {} | {} |", curve.name, cells.join(" | "));
    }
    table
}

/// Three digits that count.
fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
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
    fn a_straight_line_is_carried_on_and_what_is_measured_stays() {
        let points = vec![
            point("full compile, ms", 10_000, 20.0),
            point("one site, ms", 10_000, 0.5),
            point("full compile, ms", 100_000, 110.0),
            point("one site, ms", 100_000, 0.4),
            point("storm, s", 1_000, 1.0),
            point("storm, s", 10_000, 1.9),
        ];
        let curves = curves(points);
        assert_eq!(
            table(&curves),
            "| what | 1,000 sites | 10,000 sites | 100,000 sites | 1,000,000 sites |\n\
             | --- | ---: | ---: | ---: | ---: |\n\
             | full compile, ms |  | 20.0 | 110 | ≈ 1010 |\n| one site, ms |  | 0.500 | 0.400 | ≈ 0.400 |\n\
             | storm, s | 1.00 | 1.90 | ≈ 10.9 | ≈ 101 |\n"
        );
    }

    #[test]
    fn what_grows_faster_than_the_sites_goes_on_so() {
        let measured = BTreeMap::from([(1_000, 1.0), (10_000, 100.0)]);
        let calculated: Vec<f64> = carry_on(&measured).into_values().map(f64::round).collect();
        assert_eq!(calculated, [10_000.0, 1_000_000.0]);
    }

    #[test]
    fn one_point_is_not_carried_on() {
        assert_eq!(curves(vec![point("x", 1_000, 3.0)])[0].calculated, BTreeMap::new());
    }

    #[test]
    fn the_plot_has_every_curve_and_marks_what_is_calculated() {
        let mut points = [1_000, 10_000, 100_000]
            .map(|sites| point("full < compile, ms", sites, sites as f64 / 10.0))
            .to_vec();
        points.extend([1_000, 10_000].map(|sites| point("storm, s", sites, sites as f64 / 1e3)));
        let svg = draw(&curves(points));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
        assert!(svg.contains("full &lt; compile, ms"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 4 + 4, "with one and with two that are calculated");
        assert_eq!(svg.matches("stroke-dasharray").count(), 2, "the ways to what is calculated");
        assert_eq!(svg.matches("fill=\"white\"").count(), 1 + 1 + 2, "the ground, and calculated points");
        assert_eq!(svg.matches("font-weight=\"bold\"").count(), 2, "a field for each unit");
    }
}
