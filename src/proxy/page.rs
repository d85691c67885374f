//! The page a person sees who is refused: one file, no script, nothing fetched from anywhere.

use std::fmt::Write as _;

use super::respond::Problem;
use crate::dialect::native::ToldCheck;

/// Allows the page its own style and nothing else.
pub(super) const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#f5f5f2;--card:#fff;--ink:#1c1c1a;--soft:#5f5f58;--line:#deded8;--mark:#a33a20}\
@media (prefers-color-scheme:dark){:root{--ground:#161615;--card:#20201e;--ink:#ecece6;--soft:#a3a39a;--line:#383834;\
--mark:#f0916f}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.25rem;background:var(--ground);\
color:var(--ink);font:1rem/1.55 system-ui,sans-serif}\
main{width:100%;max-width:38rem;padding:clamp(1.25rem,5vw,2.5rem);background:var(--card);border:1px solid var(--line);\
border-top:4px solid var(--mark);border-radius:.5rem;overflow-wrap:anywhere}\
h1{margin:0 0 .25rem;font-size:1.5rem;line-height:1.25}\
h2{margin:1.75rem 0 .5rem;font-size:1rem}\
p{margin:0}\
ul{margin:0;padding:0;list-style:none}\
li{padding:.75rem 0;border-top:1px solid var(--line)}\
li p{color:var(--soft)}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:1.75rem 0 0;padding-top:1rem;\
border-top:1px solid var(--line);font-size:.875rem;color:var(--soft)}\
li dl{margin:.5rem 0 0;padding:0;border:0}\
dd{margin:0}\
code{font:.875em ui-monospace,monospace}";

/// The page for a refusal.
pub(super) fn render(problem: &Problem<'_>) -> String {
    let mut page = String::with_capacity(4096);
    // Writing to a string cannot fail.
    let _ = write_page(&mut page, problem);
    page
}

fn write_page(page: &mut String, problem: &Problem<'_>) -> std::fmt::Result {
    let (title, detail) = (Escaped(problem.title), Escaped(&problem.detail));
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{detail}</p>\n"
    )?;
    if let Some(checks) = problem.checks.as_ref().filter(|checks| !checks.is_empty()) {
        page.push_str("<h2>What stands in the way</h2>\n<ul>\n");
        checks.iter().try_for_each(|check| write_check(page, check))?;
        page.push_str("</ul>\n");
    }
    write!(
        page,
        "<dl>\n<dt>Reason</dt><dd><code>{}</code></dd>\n<dt>Request</dt><dd><code>{}</code></dd>\n</dl>\n\
         </main>\n</body>\n</html>\n",
        Escaped(problem.reason),
        Escaped(problem.request_id)
    )
}

fn write_check(page: &mut String, check: &ToldCheck<'_>) -> std::fmt::Result {
    writeln!(page, "<li><strong>{}</strong> <code>{}</code>", Escaped(check.name), Escaped(check.reason))?;
    if let Some(remediation) = check.remediation {
        writeln!(page, "<p>{}</p>", Escaped(remediation))?;
    }
    if let (Some(expected), Some(actual)) = (&check.expected, &check.actual) {
        let (expected, actual) = (expected.to_string(), actual.to_string());
        writeln!(
            page,
            "<dl><dt>Expected</dt><dd><code>{}</code></dd><dt>Found</dt><dd><code>{}</code></dd></dl>",
            Escaped(&expected),
            Escaped(&actual)
        )?;
    }
    page.push_str("</li>\n");
    Ok(())
}

/// Text that cannot become markup.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => formatter.write_str("&amp;")?,
                '<' => formatter.write_str("&lt;")?,
                '>' => formatter.write_str("&gt;")?,
                '"' => formatter.write_str("&quot;")?,
                '\'' => formatter.write_str("&#39;")?,
                other => formatter.write_char(other)?,
            }
        }
        Ok(())
    }
}
