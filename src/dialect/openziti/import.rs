//! Objects that OpenZiti's own tool exported (`ziti ops export`), made here one by one.
//!
//! The file refers to objects by `@name`. What a gateway has no use for is left, what it cannot say is left out, and each is
//! told. A policy is never taken with a posture check less than it asks for.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::config_body;
use super::config_type::{ConfigType, ConfigTypes};
use crate::clock::Timestamp;
use crate::id::ConfigId;
use crate::policy::Objects;

/// A kind of object that is imported and exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Posture checks.
    PostureCheck,
    /// Types of configs.
    ConfigType,
    /// Configs.
    Config,
    /// Services.
    Service,
    /// Identities.
    Identity,
    /// Service policies.
    ServicePolicy,
}

impl Kind {
    /// Every kind, those that others refer to first.
    pub const ALL: [Kind; 6] =
        [Kind::PostureCheck, Kind::ConfigType, Kind::Config, Kind::Service, Kind::Identity, Kind::ServicePolicy];

    /// The member of the file that lists its objects.
    pub const fn key(self) -> &'static str {
        match self {
            Kind::PostureCheck => "postureChecks",
            Kind::ConfigType => "configTypes",
            Kind::Config => "configs",
            Kind::Service => "services",
            Kind::Identity => "identities",
            Kind::ServicePolicy => "servicePolicies",
        }
    }

    /// Where its objects lie in the management API.
    pub const fn collection(self) -> &'static str {
        match self {
            Kind::PostureCheck => "posture-checks",
            Kind::ConfigType => "config-types",
            Kind::Config => "configs",
            Kind::Service => "services",
            Kind::Identity => "identities",
            Kind::ServicePolicy => "service-policies",
        }
    }

    /// What one of its objects is called.
    pub const fn noun(self) -> &'static str {
        match self {
            Kind::PostureCheck => "posture check",
            Kind::ConfigType => "config type",
            Kind::Config => "config",
            Kind::Service => "service",
            Kind::Identity => "identity",
            Kind::ServicePolicy => "service policy",
        }
    }
}

/// Lists of the file whose objects a gateway has no use for, what one of them is called, and why.
const UNUSED: [(&str, &str, &str); 6] = [
    ("authPolicies", "authentication policy", "certificates are asked for by the TLS listener"),
    ("certificateAuthorities", "certificate authority", "CAs are named in the configuration"),
    ("edgeRouters", "edge router", "the gateway is the one router"),
    ("edgeRouterPolicies", "edge router policy", "the gateway is the one router"),
    ("externalJwtSigners", "external JWT signer", "clients are known by their certificates"),
    ("serviceEdgeRouterPolicies", "service edge router policy", "the gateway is the one router"),
];

/// Where objects are imported to.
pub trait Target {
    /// Why it could not be asked at all.
    type Error;

    /// The id of the object of a kind that has this name.
    fn find(&mut self, kind: Kind, name: &str) -> Result<Option<String>, Self::Error>;

    /// Makes an object and tells its id, or why it was refused.
    fn make(&mut self, kind: Kind, body: &Value) -> Result<Result<String, String>, Self::Error>;

    /// Disables an identity.
    fn disable(&mut self, identity: &str) -> Result<(), Self::Error>;
}

/// What became of one object of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// What it is.
    pub noun: &'static str,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken as it is.
    Taken,
    /// It was taken, but for this.
    Changed(Vec<String>),
    /// It is there already, or a gateway has no use for it.
    Left(String),
    /// It could not be taken.
    Refused(String),
}

/// What became of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Its objects, in the order in which they were tried.
    pub objects: Vec<Imported>,
    /// What else should be known.
    pub notes: Vec<String>,
}

/// Makes the objects of a file.
pub fn import<T: Target>(file: &Value, target: &mut T, now: Timestamp) -> Result<Report, T::Error> {
    let mut importer = Importer { target, now, report: Report::default(), left: BTreeSet::new() };
    for kind in Kind::ALL {
        for entry in entries(file, kind.key()) {
            importer.take(kind, entry)?;
        }
    }
    for (key, noun, why) in UNUSED {
        for entry in entries(file, key) {
            importer.note(noun, name_of(entry), Outcome::Left(why.to_owned()));
        }
    }
    let known =
        |key: &str| Kind::ALL.iter().any(|kind| kind.key() == key) || UNUSED.iter().any(|(name, ..)| *name == key);
    let unknown = file.as_object().into_iter().flatten().filter(|(key, _)| !known(key));
    for (key, _) in unknown {
        importer.report.notes.push(format!("`{key}` is not a list that is known here, and was left"));
    }
    if let Some(note) = lost_checks(file) {
        importer.report.notes.push(note);
    }
    Ok(importer.report)
}

fn entries<'a>(file: &'a Value, key: &str) -> &'a [Value] {
    file.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn name_of(entry: &Value) -> &str {
    entry.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// Some versions of the exporting tool write no `postureCheckRoles` into policies; what they write opens more than it should.
fn lost_checks(file: &Value) -> Option<String> {
    let roles =
        |policy: &Value| policy.get("postureCheckRoles").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let (checks, policies) = (entries(file, Kind::PostureCheck.key()), entries(file, Kind::ServicePolicy.key()));
    let lost = !checks.is_empty() && !policies.is_empty() && !policies.iter().any(roles);
    lost.then(|| {
        "no service policy of the file asks for any of its posture checks. Some versions of `ziti ops export` leave them out: \
         look into the policies before you let anybody in"
            .to_owned()
    })
}

struct Importer<'t, T> {
    target: &'t mut T,
    now: Timestamp,
    report: Report,
    /// Names of objects that were not taken.
    left: BTreeSet<(Kind, String)>,
}

/// A body to be made of an entry, and what it lost on the way.
struct Body {
    members: Map<String, Value>,
    changes: Vec<String>,
}

impl Body {
    fn changed(&mut self, what: impl Into<String>) {
        self.changes.push(what.into());
    }
}

impl<T: Target> Importer<'_, T> {
    fn note(&mut self, noun: &'static str, name: &str, outcome: Outcome) {
        self.report.objects.push(Imported { noun, name: name.to_owned(), outcome });
    }

    fn take(&mut self, kind: Kind, entry: &Value) -> Result<(), T::Error> {
        let name = name_of(entry).to_owned();
        let outcome = self.try_to_take(kind, &name, entry)?;
        if matches!(outcome, Outcome::Refused(_))
            || (matches!(outcome, Outcome::Left(_)) && !self.knows(kind, &name)?)
        {
            self.left.insert((kind, name.clone()));
        }
        self.note(kind.noun(), &name, outcome);
        Ok(())
    }

    fn try_to_take(&mut self, kind: Kind, name: &str, entry: &Value) -> Result<Outcome, T::Error> {
        let Some(members) = entry.as_object().filter(|_| !name.is_empty()) else {
            return Ok(Outcome::Refused("it has no name".to_owned()));
        };
        if self.knows(kind, name)? {
            return Ok(Outcome::Left("there is one of this name already".to_owned()));
        }
        let mut body = Body { members: members.clone(), changes: Vec::new() };
        let refused = match kind {
            Kind::PostureCheck | Kind::ConfigType => None,
            Kind::Config => self.config(&mut body)?,
            Kind::Service => self.service(&mut body)?,
            Kind::Identity => identity(&mut body),
            Kind::ServicePolicy => self.policy(&mut body)?,
        };
        if let Some(outcome) = refused {
            return Ok(outcome);
        }
        let disabled = members.get("disabled").and_then(Value::as_bool) == Some(true);
        match self.target.make(kind, &Value::Object(body.members))? {
            Err(reason) => return Ok(Outcome::Refused(reason)),
            Ok(id) if kind == Kind::Identity && disabled => self.target.disable(&id)?,
            Ok(_) => {}
        }
        Ok(if body.changes.is_empty() { Outcome::Taken } else { Outcome::Changed(body.changes) })
    }

    fn knows(&mut self, kind: Kind, name: &str) -> Result<bool, T::Error> {
        Ok(self.target.find(kind, name)?.is_some())
    }

    /// The type by its id instead of its name; what a gateway leaves out is known before it is asked.
    fn config(&mut self, body: &mut Body) -> Result<Option<Outcome>, T::Error> {
        let written = body.members.remove("configType");
        let named = written.as_ref().and_then(Value::as_str).map(|name| name.trim_start_matches('@'));
        let by_id = body.members.get("configTypeId").and_then(Value::as_str);
        let called = named.or(by_id).unwrap_or_default().to_owned();
        let Some(built_in) = ConfigType::named(&called) else {
            return Ok(match self.target.find(Kind::ConfigType, &called)? {
                Some(id) => {
                    body.members.insert("configTypeId".to_owned(), id.into());
                    None
                }
                None => Some(Outcome::Left(format!("there is no type `{called}`"))),
            });
        };
        body.members.insert("configTypeId".to_owned(), built_in.id().into());
        let text = Value::Object(body.members.clone()).to_string();
        let none = Objects::default();
        match config_body::create_config(text.as_bytes(), ConfigId::from(""), ConfigTypes::of(&none), self.now) {
            Ok(read) => body.changes.extend(read.left_out.iter().map(|note| format!("left out: {note}"))),
            Err(error) => return Ok(Some(Outcome::Refused(error.to_string()))),
        }
        Ok(None)
    }

    fn service(&mut self, body: &mut Body) -> Result<Option<Outcome>, T::Error> {
        let mut ids = Vec::new();
        for reference in texts(&body.members, "configs") {
            let name = reference.trim_start_matches('@');
            match self.target.find(Kind::Config, name)? {
                Some(id) => ids.push(Value::from(id)),
                None => body.changed(format!("without its config `{name}`, which was not taken")),
            }
        }
        body.members.insert("configs".to_owned(), ids.into());
        body.members.entry("encryptionRequired").or_insert(Value::Bool(true));
        Ok(None)
    }

    fn policy(&mut self, body: &mut Body) -> Result<Option<Outcome>, T::Error> {
        for reference in texts(&body.members, "postureCheckRoles") {
            if let Some(name) = reference.strip_prefix('@')
                && !self.knows(Kind::PostureCheck, name)?
            {
                let reason =
                    format!("it asks for posture check `{name}`, which was not taken, and would open without it");
                return Ok(Some(Outcome::Refused(reason)));
            }
        }
        for (list, kind) in [("identityRoles", Kind::Identity), ("serviceRoles", Kind::Service)] {
            let mut kept = Vec::new();
            for reference in texts(&body.members, list) {
                match reference.strip_prefix('@') {
                    Some(name) if !self.knows(kind, name)? => {
                        body.changed(format!("without `{reference}` in {list}, which was not taken"));
                    }
                    _ => kept.push(Value::from(reference)),
                }
            }
            body.members.insert(list.to_owned(), kept.into());
        }
        Ok(None)
    }
}

/// What of an identity belongs to it here. Certificates are not in the file.
fn identity(body: &mut Body) -> Option<Outcome> {
    let text = |name: &str| body.members.get(name).and_then(Value::as_str).map(str::to_owned);
    let (type_id, auth_policy) = (text("typeId"), text("authPolicy"));
    if type_id.as_deref() == Some("Router") {
        return Some(Outcome::Left("the gateway is the one router".to_owned()));
    }
    if body.members.get("isAdmin").and_then(Value::as_bool) == Some(true) {
        body.changed("not an administrator: operators are named in the configuration");
    }
    if let Some(policy) = auth_policy.filter(|policy| !policy.eq_ignore_ascii_case("@default")) {
        body.changed(format!("without its authentication policy `{}`", policy.trim_start_matches('@')));
    }
    body.members.insert("type".to_owned(), "Default".into());
    body.members.insert("isAdmin".to_owned(), false.into());
    for gone in ["authPolicy", "authPolicyId", "enrollment"] {
        body.members.remove(gone);
    }
    None
}

fn texts(members: &Map<String, Value>, name: &str) -> Vec<String> {
    let list = members.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
