//! The page as HTML: one file, no script, nothing fetched from anywhere, readable on a phone.

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderValue;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::{Me, MyCheck, MyDevice, MyService, PATH, State, Way, age, remaining};
use crate::proxy::page::Escaped;

const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#f5f5f2;--card:#fff;--ink:#1c1c1a;--soft:#5f5f58;--line:#deded8;--bad:#a33a20;\
--good:#1f6b3a;--open:#8a6100}\
@media (prefers-color-scheme:dark){:root{--ground:#161615;--card:#20201e;--ink:#ecece6;--soft:#a3a39a;--line:#383834;\
--bad:#f0916f;--good:#7fcf98;--open:#e0b457}}\
*{box-sizing:border-box}\
body{margin:0;padding:1rem;background:var(--ground);color:var(--ink);font:1rem/1.5 system-ui,sans-serif;\
overflow-wrap:anywhere}\
main{max-width:44rem;margin:0 auto}\
header{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:center;justify-content:space-between;margin:.5rem 0 1rem}\
h1{margin:0;font-size:1.4rem;line-height:1.25}\
h2{margin:0;font-size:1.1rem;line-height:1.3}\
h3{margin:1rem 0 0;font-size:.875rem;font-weight:600;color:var(--soft)}\
p{margin:0}\
a.again{padding:.6rem 1rem;border:1px solid var(--line);border-radius:.5rem;background:var(--card);color:inherit;\
text-decoration:none;font-weight:600}\
a.again:hover,a.again:focus{border-color:var(--ink)}\
section,.who{padding:1rem;margin:0 0 1rem;background:var(--card);border:1px solid var(--line);border-radius:.5rem}\
section{border-left:4px solid var(--bad)}\
section.open{border-left-color:var(--good)}\
.top{display:flex;flex-wrap:wrap;gap:.25rem 1rem;align-items:baseline;justify-content:space-between}\
.state{font-weight:600;white-space:nowrap}\
.pass{color:var(--good)}.fail{color:var(--bad)}.unknown{color:var(--open)}\
.soft{color:var(--soft);font-size:.875rem}\
ul{margin:.75rem 0 0;padding:0;list-style:none}\
li{padding:.6rem 0;border-top:1px solid var(--line)}\
li:last-child{padding-bottom:0}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:.4rem 0 0;font-size:.875rem}\
dt{color:var(--soft)}dd{margin:0;min-width:0}\
.who dl{margin:0}\
summary{cursor:pointer;font-weight:600}\
code{font:.875em ui-monospace,monospace}";

/// Allows the page its own style, by its digest, and nothing else.
pub(super) fn security_policy() -> HeaderValue {
    static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
        let style = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
    });
    POLICY.clone()
}

/// The page.
pub(super) fn render(me: &Me<'_>) -> String {
    let mut page = String::with_capacity(8192);
    // Writing to a string cannot fail.
    let _ = write_page(&mut page, me);
    page
}

fn write_page(page: &mut String, me: &Me<'_>) -> std::fmt::Result {
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>Your access</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>Your access</h1>\n\
         <a class=\"again\" href=\"{PATH}\">Check again</a>\n</header>\n"
    )?;
    write_who(page, me)?;
    if me.services.is_empty() {
        page.push_str("<p>There is no service that you could reach from here.</p>\n");
    }
    // What needs doing comes first.
    let (shut, open): (Vec<_>, Vec<_>) = me.services.iter().partition(|service| !service.open);
    shut.into_iter().chain(open).try_for_each(|service| write_service(page, me, service))?;
    if me.more {
        page.push_str("<p class=\"soft\">There are more services than are listed here.</p>\n");
    }
    write_unknown(page, &me.device)?;
    page.push_str("</main>\n</body>\n</html>\n");
    Ok(())
}

fn write_who(page: &mut String, me: &Me<'_>) -> std::fmt::Result {
    write!(
        page,
        "<div class=\"who\">\n<dl>\n<dt>Identity</dt><dd><strong>{}</strong></dd>\n<dt>Certificate</dt><dd>{}</dd>\n",
        Escaped(me.identity),
        Escaped(me.certificate)
    )?;
    let device: Vec<&str> =
        [&me.device.hostname, &me.device.product].into_iter().flatten().map(String::as_str).collect();
    if !device.is_empty() {
        writeln!(page, "<dt>Device</dt><dd>{}</dd>", Escaped(&device.join(", ")))?;
    }
    let reported = me.last_report_at.map_or_else(|| "never".to_owned(), |at| age(me.now, at));
    writeln!(page, "<dt>Last report</dt><dd>{reported}</dd>")?;
    if let Some(passed) = me.mfa_passed_at {
        writeln!(page, "<dt>MFA passed</dt><dd>{}</dd>", age(me.now, passed))?;
    }
    writeln!(page, "<dt>Now</dt><dd>{}</dd>\n</dl>\n</div>", me.now)
}

/// What keeps checks unknown on this device, for who looks into it.
fn write_unknown(page: &mut String, device: &MyDevice) -> std::fmt::Result {
    if device.unknown.is_empty() {
        return Ok(());
    }
    let count = device.unknown.len();
    write!(page, "<details class=\"who\">\n<summary>What this device could not tell: {count}</summary>\n<ul>\n")?;
    for unknown in &device.unknown {
        let about = unknown.path.as_deref().map(|path| format!(" {path}")).unwrap_or_default();
        let why = if unknown.detail.is_empty() { &unknown.reason } else { &unknown.detail };
        writeln!(
            page,
            "<li><strong>{}</strong>{}<p class=\"soft\">{}</p></li>",
            Escaped(&unknown.fact),
            Escaped(&about),
            Escaped(why)
        )?;
    }
    page.push_str("</ul>\n</details>\n");
    Ok(())
}

fn write_service(page: &mut String, me: &Me<'_>, service: &MyService<'_>) -> std::fmt::Result {
    let (class, state, word) = if service.open { ("open", "pass", "Open") } else { ("shut", "fail", "Shut") };
    write!(
        page,
        "<section class=\"{class}\">\n<div class=\"top\"><h2>{}</h2><span class=\"state {state}\">{word}</span></div>\n\
         <p class=\"soft\">{}",
        Escaped(service.name),
        Escaped(&service.hosts.join(", "))
    )?;
    if let Some(until) = service.until {
        write!(page, " · open until {until}, {}, unless something changes", remaining(me.now, until))?;
    }
    page.push_str("</p>\n");
    let ways = service.ways.as_deref().unwrap_or_default();
    for (number, way) in (1..).zip(ways) {
        write_way(page, me, way, (ways.len() > 1).then_some(number))?;
    }
    page.push_str("</section>\n");
    Ok(())
}

fn write_way(page: &mut String, me: &Me<'_>, way: &Way, number: Option<usize>) -> std::fmt::Result {
    if let Some(number) = number {
        writeln!(page, "<h3>Way {number}: any one way is enough</h3>")?;
    }
    if way.checks.is_empty() {
        return Ok(());
    }
    page.push_str("<ul>\n");
    way.checks.iter().try_for_each(|check| write_check(page, me, check))?;
    page.push_str("</ul>\n");
    Ok(())
}

fn write_check(page: &mut String, me: &Me<'_>, check: &MyCheck) -> std::fmt::Result {
    let (class, word) = match check.state {
        State::Pass => ("pass", "✔ passes"),
        State::Fail => ("fail", "✘ does not pass"),
        State::Unknown => ("unknown", "? not known"),
    };
    writeln!(
        page,
        "<li>\n<div class=\"top\"><strong>{}</strong><span class=\"state {class}\">{word}</span></div>",
        Escaped(&check.name)
    )?;
    if let Some(what_to_do) = &check.what_to_do {
        writeln!(page, "<p>{}</p>", Escaped(what_to_do))?;
    }
    let seen =
        check.observed_at.map_or_else(|| "nothing seen yet".to_owned(), |at| format!("seen {}", age(me.now, at)));
    write!(page, "<p class=\"soft\">{seen}")?;
    if let Some(reason) = check.reason {
        write!(page, " · <code>{}</code>", Escaped(reason))?;
    }
    page.push_str("</p>\n");
    if let (Some(expected), Some(actual)) = (&check.expected, &check.actual) {
        writeln!(
            page,
            "<dl><dt>Expected</dt><dd>{}</dd><dt>Found</dt><dd>{}</dd></dl>",
            Escaped(&in_words(expected)),
            Escaped(&in_words(actual))
        )?;
    }
    page.push_str("</li>\n");
    Ok(())
}

/// A value as people read it.
fn in_words(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.is_empty() => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => {
            let told = items.iter().map(|item| match item {
                Value::Object(_) => format!("({})", in_words(item)),
                item => in_words(item),
            });
            told.collect::<Vec<_>>().join(", ")
        }
        Value::Object(members) => match duration(value) {
            Some(duration) => humantime::format_duration(duration).to_string(),
            None => {
                let told = members.iter().filter(|(_, value)| !value.is_null());
                let told: Vec<_> = told.map(|(name, value)| format!("{} {}", spaced(name), in_words(value))).collect();
                if told.is_empty() { "anything".to_owned() } else { told.join("; ") }
            }
        },
    }
}

/// A duration, as it is serialised.
fn duration(value: &Value) -> Option<Duration> {
    serde_json::from_value(value.clone()).ok()
}

/// `promptOnWake` as `prompt on wake`.
fn spaced(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, letter| {
        if letter.is_ascii_uppercase() {
            text.push(' ');
        }
        text.push(letter.to_ascii_lowercase());
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_told_in_words() {
        for (value, words) in [
            (
                json!({"domains": ["a.example", "b.example"], "matching": "folded"}),
                "domains a.example, b.example; matching folded",
            ),
            (
                json!({"grace": {"secs": 300, "nanos": 0}, "promptOnWake": false, "timeout": null}),
                "grace 5m; prompt on wake no",
            ),
            (json!([{"name": "/", "encrypted": true}, {"name": "/boot"}]), "(encrypted yes; name /), (name /boot)"),
            (json!({}), "anything"),
            (json!([]), "none"),
            (json!(""), "none"),
            (Value::Null, "nothing"),
            (json!(7), "7"),
        ] {
            assert_eq!(in_words(&value), words);
        }
    }
}
