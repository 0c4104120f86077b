//! The plot: an SVG with both axes in logarithms. What is calculated is a hollow point at the end of a dashed line.

use std::fmt::Write as _;

use super::{CALCULATED, Curve, short, thousands};

const SIZE: (f64, f64) = (860.0, 460.0);
/// Of the field in which curves are drawn: left, right, top, bottom.
const FIELD: (f64, f64, f64, f64) = (70.0, 520.0, 20.0, 410.0);
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

    /// Where a value lies, from 0 to 1.
    fn place(self, value: f64) -> f64 {
        (value.max(f64::MIN_POSITIVE).log10() - self.from) / (self.to - self.from)
    }

    fn powers(self) -> impl Iterator<Item = f64> {
        (self.from as i32..=self.to as i32).map(|power| 10f64.powi(power))
    }
}

/// Both axes.
#[derive(Debug, Clone, Copy)]
struct Field {
    sites: Axis,
    values: Axis,
}

impl Field {
    fn around(curves: &[Curve]) -> Self {
        let measured = || curves.iter().flat_map(|curve| &curve.measured);
        let values = measured().map(|(_, value)| *value);
        let calculated = curves.iter().filter_map(|curve| curve.calculated);
        Self {
            sites: Axis::around(measured().map(|(sites, _)| *sites as f64).chain([CALCULATED as f64])),
            values: Axis::around(values.chain(calculated)),
        }
    }

    fn place(self, sites: f64, value: f64) -> (f64, f64) {
        let (left, right, top, bottom) = FIELD;
        let x = left + self.sites.place(sites) * (right - left);
        (x, bottom - self.values.place(value) * (bottom - top))
    }
}

/// Draws the curves.
pub(in crate::bench) fn draw(curves: &[Curve]) -> String {
    let (width, height) = SIZE;
    let field = Field::around(curves);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    axes(&mut svg, field);
    for (at, (curve, colour)) in curves.iter().zip(COLOURS.into_iter().cycle()).enumerate() {
        draw_curve(&mut svg, field, curve, colour);
        let y = FIELD.2 + 14.0 + 20.0 * at as f64;
        text(&mut svg, (FIELD.1 + 20.0, y), &format!("fill=\"{colour}\""), curve.name);
    }
    svg.push_str("</svg>\n");
    svg
}

fn axes(svg: &mut String, field: Field) {
    let (left, right, top, bottom) = FIELD;
    for sites in field.sites.powers() {
        let (x, _) = field.place(sites, 1.0);
        let _ = writeln!(svg, "<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"#ddd\"/>");
        text(svg, (x, bottom + 18.0), "text-anchor=\"middle\"", &thousands(sites as usize));
    }
    for value in field.values.powers() {
        let (_, y) = field.place(1.0, value);
        let _ = writeln!(svg, "<path d=\"M{left} {y:.1}H{right}\" stroke=\"#ddd\"/>");
        text(svg, (left - 8.0, y + 4.0), "text-anchor=\"end\"", short(value).trim_end_matches(".00"));
    }
    let below = ((left + right) / 2.0, bottom + 38.0);
    text(svg, below, "text-anchor=\"middle\"", "sites; hollow: calculated from the slope, not measured");
}

fn draw_curve(svg: &mut String, field: Field, curve: &Curve, colour: &str) {
    let places: Vec<(f64, f64)> =
        curve.measured.iter().map(|(sites, value)| field.place(*sites as f64, *value)).collect();
    line(svg, &places, &format!("stroke=\"{colour}\""));
    if let (Some(calculated), Some(last)) = (curve.calculated, places.last()) {
        let end = field.place(CALCULATED as f64, calculated);
        line(svg, &[*last, end], &format!("stroke=\"{colour}\" stroke-dasharray=\"4 4\""));
        point(svg, end, &format!("fill=\"white\" stroke=\"{colour}\""));
    }
    places.into_iter().for_each(|place| point(svg, place, &format!("fill=\"{colour}\"")));
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
