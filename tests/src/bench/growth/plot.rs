//! The plot: an SVG with a field for each unit, both axes in logarithms. What is calculated is a hollow point at the
//! end of a dashed line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{CALCULATED, Curve, short, thousands};

const WIDTH: f64 = 900.0;
/// What a field takes, with the room around it.
const HEIGHT: f64 = 300.0;
/// Where curves are drawn in it: left, right, top, bottom.
const FIELD: (f64, f64, f64, f64) = (70.0, 480.0, 30.0, 260.0);
/// Below the last field.
const FOOT: f64 = 30.0;
/// Colours that the colour-blind tell apart (Okabe and Ito, 2008).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

/// The powers of ten that an axis goes from and to.
#[derive(Debug, Clone, Copy)]
struct Axis {
    from: f64,
    to: f64,
}

impl Axis {
    fn around(values: impl Iterator<Item = f64>) -> Self {
        let (mut from, mut to) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| *value > 0.0) {
            from = from.min(value.log10().floor());
            to = to.max(value.log10().ceil());
        }
        if from < to { Self { from, to } } else { Self { from: 0.0, to: 1.0 } }
    }

    /// Where a value lies, from 0 to 1; what is below the axis lies at its end.
    fn place(self, value: f64) -> f64 {
        ((value.max(f64::MIN_POSITIVE).log10() - self.from) / (self.to - self.from)).max(0.0)
    }

    fn powers(self) -> impl Iterator<Item = f64> {
        (self.from as i32..=self.to as i32).map(|power| 10f64.powi(power))
    }
}

/// The curves of one unit, with both axes.
#[derive(Debug)]
struct Field<'a> {
    unit: &'static str,
    curves: Vec<&'a Curve>,
    sites: Axis,
    values: Axis,
    /// Its upper edge.
    top: f64,
}

impl<'a> Field<'a> {
    fn new(unit: &'static str, curves: Vec<&'a Curve>, sites: Axis, top: f64) -> Self {
        let values = curves.iter().flat_map(|curve| curve.measured.values().chain(curve.calculated.values()));
        let values = Axis::around(values.copied());
        Self { unit, curves, sites, values, top }
    }

    fn place(&self, sites: f64, value: f64) -> (f64, f64) {
        let (left, right, top, bottom) = FIELD;
        let x = left + self.sites.place(sites) * (right - left);
        (x, self.top + bottom - self.values.place(value) * (bottom - top))
    }

    fn draw(&self, svg: &mut String) {
        self.draw_axes(svg);
        for (at, (curve, colour)) in self.curves.iter().zip(COLOURS.into_iter().cycle()).enumerate() {
            self.draw_curve(svg, curve, colour);
            let y = self.top + FIELD.2 + 14.0 + 20.0 * at as f64;
            text(svg, (FIELD.1 + 20.0, y), &format!("fill=\"{colour}\""), curve.name);
        }
    }

    fn draw_axes(&self, svg: &mut String) {
        let (left, right, ..) = FIELD;
        let (top, bottom) = (self.top + FIELD.2, self.top + FIELD.3);
        text(svg, (left, top - 10.0), "font-weight=\"bold\"", self.unit);
        for sites in self.sites.powers() {
            let (x, _) = self.place(sites, 1.0);
            let _ = writeln!(svg, "<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"#ddd\"/>");
            text(svg, (x, bottom + 18.0), "text-anchor=\"middle\"", &thousands(sites as usize));
        }
        for value in self.values.powers() {
            let (_, y) = self.place(1.0, value);
            let _ = writeln!(svg, "<path d=\"M{left} {y:.1}H{right}\" stroke=\"#ddd\"/>");
            text(svg, (left - 8.0, y + 4.0), "text-anchor=\"end\"", short(value).trim_end_matches(".00"));
        }
    }

    fn draw_curve(&self, svg: &mut String, curve: &Curve, colour: &str) {
        let places = |points: &BTreeMap<usize, f64>| -> Vec<(f64, f64)> {
            points.iter().map(|(sites, value)| self.place(*sites as f64, *value)).collect()
        };
        let (measured, calculated) = (places(&curve.measured), places(&curve.calculated));
        line(svg, &measured, &format!("stroke=\"{colour}\""));
        if !calculated.is_empty() {
            let way: Vec<_> = measured.last().into_iter().chain(&calculated).copied().collect();
            line(svg, &way, &format!("stroke=\"{colour}\" stroke-dasharray=\"4 4\""));
        }
        for place in calculated {
            point(svg, place, &format!("fill=\"white\" stroke=\"{colour}\""));
        }
        measured.into_iter().for_each(|place| point(svg, place, &format!("fill=\"{colour}\"")));
    }
}

/// Draws the curves.
pub(in crate::bench) fn draw(curves: &[Curve]) -> String {
    let mut units: Vec<&'static str> = Vec::new();
    for curve in curves.iter().filter(|curve| curve.measured.len() > 1) {
        if !units.contains(&curve.unit()) {
            units.push(curve.unit());
        }
    }
    let sites = curves.iter().flat_map(|curve| curve.measured.keys()).chain(&CALCULATED[1..]);
    let sites = Axis::around(sites.map(|sites| *sites as f64));
    let height = units.len() as f64 * HEIGHT + FOOT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (at, unit) in units.iter().enumerate() {
        let of_unit = curves.iter().filter(|curve| curve.unit() == *unit && curve.measured.len() > 1);
        Field::new(unit, of_unit.collect(), sites, at as f64 * HEIGHT).draw(&mut svg);
    }
    let below = ((FIELD.0 + FIELD.1) / 2.0, height - 8.0);
    text(&mut svg, below, "text-anchor=\"middle\"", "sites; hollow: calculated from the slope, not measured");
    svg.push_str("</svg>\n");
    svg
}

fn line(svg: &mut String, places: &[(f64, f64)], look: &str) {
    let words: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(svg, "<polyline points=\"{}\" fill=\"none\" {look}/>", words.join(" "));
}

fn point(svg: &mut String, (x, y): (f64, f64), look: &str) {
    let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" {look}/>");
}

fn text(svg: &mut String, (x, y): (f64, f64), look: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" {look}>{words}</text>");
}
