//! Health checks of a place. The gateway makes one kind for all places of a service: a connection, or a request by GET that is
//! answered below 400.

use std::time::Duration;

use super::{Aim, LeftOut, Target};
use crate::dialect::openziti::duration;
use crate::dialect::openziti::error::FieldError;
use crate::dialect::openziti::members::Members;
use crate::policy::address;
use crate::policy::service::HealthCheck;

/// The first check that can be made; those of HTTP before those of ports, for they tell more.
pub(super) fn health_check(
    data: &Members<'_>,
    target: &Target,
    left_out: &mut LeftOut,
) -> Result<Option<HealthCheck>, FieldError> {
    let mut chosen = None;
    for check in data.objects("httpChecks")?.unwrap_or_default() {
        check.only(&["url", "method", "body", "interval", "timeout", "actions", "expectStatus", "expectInBody"])?;
        let path = path_of_url(&check, target)?;
        choose(&mut chosen, &check, "url", path.map(Some), left_out)?;
        for name in ["expectStatus", "expectInBody"] {
            if check.get(name).is_some() {
                left_out.note(&check.field(name), "any answer below 400 is healthy");
            }
        }
    }
    for check in data.objects("portChecks")?.unwrap_or_default() {
        check.only(&["address", "interval", "timeout", "actions"])?;
        let own = is_target(check.required_text("address")?, target);
        choose(&mut chosen, &check, "address", own.then_some(None), left_out)?;
    }
    Ok(chosen)
}

/// Takes a check of the place itself, if it is the first; `path` is `None` for a check of something else.
fn choose(
    chosen: &mut Option<HealthCheck>,
    check: &Members<'_>,
    place: &str,
    path: Option<Option<String>>,
    left_out: &mut LeftOut,
) -> Result<(), FieldError> {
    let (interval, timeout) = (duration_of(check, "interval")?, duration_of(check, "timeout")?);
    let (healthy_after, unhealthy_after) = actions(check, left_out)?;
    match (path, &chosen) {
        (None, _) => left_out.note(&check.field(place), "only the place itself is tried, by HTTP without TLS"),
        (Some(_), Some(_)) => left_out.note(&check.field(place), "one check is made of a place"),
        (Some(path), None) => {
            *chosen = Some(HealthCheck { path, interval, timeout, healthy_after, unhealthy_after });
        }
    }
    Ok(())
}

/// After how many successes and failures in a row a place is well and unwell.
fn actions(check: &Members<'_>, left_out: &mut LeftOut) -> Result<(u32, u32), FieldError> {
    let (mut healthy_after, mut unhealthy_after) = (1, 3);
    for action in check.objects("actions")?.unwrap_or_default() {
        action.only(&["trigger", "consecutiveEvents", "duration", "action"])?;
        let events = match action.integer("consecutiveEvents")? {
            None | Some(0) => 1,
            Some(events) => u32::from(
                u16::try_from(events).map_err(|_| action.wrong("consecutiveEvents", "must be from 0 to 65535"))?,
            ),
        };
        let trigger = action.required_text("trigger")?;
        if !matches!(trigger, "fail" | "pass" | "change") {
            return Err(action.wrong("trigger", "must be fail, pass or change"));
        }
        match (trigger, action.required_text("action")?) {
            ("pass", "mark healthy") => healthy_after = events,
            ("fail", "mark unhealthy") => unhealthy_after = events,
            _ => left_out.note(&action.field("action"), "a place is marked healthy by passes and unhealthy by fails"),
        }
        if action.text("duration")?.is_some() {
            left_out.note(&action.field("duration"), "events in a row are counted, not timed");
        }
    }
    Ok((healthy_after, unhealthy_after))
}

fn duration_of(check: &Members<'_>, name: &str) -> Result<Duration, FieldError> {
    duration::read(check.required_text(name)?).map_err(|reason| check.wrong(name, reason))
}

/// The path of a check's URL, if the URL leads to the place itself and the check is one that is made.
fn path_of_url(check: &Members<'_>, target: &Target) -> Result<Option<String>, FieldError> {
    let url = check.required_text("url")?;
    let method = check.text("method")?.unwrap_or("GET");
    if !matches!(method, "GET" | "POST" | "PUT" | "PATCH") {
        return Err(check.wrong("method", "must be GET, POST, PUT or PATCH"));
    }
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(check.wrong("url", "must begin with http:// or https://"));
    }
    let Some(rest) = url.strip_prefix("http://").filter(|_| method == "GET") else {
        return Ok(None);
    };
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    let port_is_told = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let authority = if port_is_told { authority.to_owned() } else { format!("{authority}:80") };
    let path = address::request_path(path).map_err(|reason| check.wrong("url", reason))?;
    Ok(is_target(&authority, target).then_some(path))
}

fn is_target(written: &str, target: &Target) -> bool {
    match (&target.host, &target.port) {
        (Aim::Fixed(host), Aim::Fixed(port)) => written.eq_ignore_ascii_case(&format!("{host}:{port}")),
        _ => false,
    }
}
