//! The table as a picture.

use std::fmt::Write;

const BAR: f64 = 26.0;
const LEFT: f64 = 230.0;
const WIDTH: f64 = 460.0;

/// Horizontal bars of processor time per request, by kind of load, as SVG.
pub(crate) fn svg(groups: &[(String, Vec<(String, f64)>)]) -> String {
    let longest = groups.iter().flat_map(|(_, bars)| bars).map(|(_, value)| *value).fold(1.0, f64::max);
    let mut body = String::new();
    let mut top = 30.0;
    for (title, bars) in groups {
        let largest = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max).max(longest * 0.1);
        let _ = writeln!(body, r#"<text x="10" y="{:.0}" font-weight="bold">{}</text>"#, top, escaped(title));
        top += 10.0;
        for (name, value) in bars {
            let middle = top + BAR * 0.62;
            let length = value / largest * WIDTH;
            let colour = if name.starts_with("gate") || name.starts_with("bare") { "#2f6f9f" } else { "#9aa4ad" };
            let _ = writeln!(
                body,
                r#"<text x="{:.0}" y="{middle:.0}" text-anchor="end">{}</text><rect x="{LEFT}" y="{:.0}" width="{length:.0}" height="{:.0}" fill="{colour}"/><text x="{:.0}" y="{middle:.0}">{value:.1}</text>"#,
                LEFT - 8.0,
                escaped(name),
                top + 4.0,
                BAR - 8.0,
                LEFT + length + 6.0,
            );
            top += BAR;
        }
        top += 34.0;
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{:.0}" height="{top:.0}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#fff"/>
{body}</svg>
"##,
        LEFT + WIDTH + 80.0,
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
