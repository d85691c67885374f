//! Lists and details of what is in force. A filter may look at a hundred thousand objects, so lists are made where they hold up
//! nobody else's request.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, Query, State};
use axum::response::{IntoResponse, Response};

use crate::dialect::openziti::{
    self, Activity, ErrorCode, IdentityDetail, ListQuery, ListedPolicy, RoleNames, ServiceDetail, ShownConfigs, TypeId,
    WantedConfigTypes,
};
use crate::enforce::busy;
use crate::id::IdentityId;
use crate::policy::objects::{Identity, PostureCheck, Service, ServicePolicy};
use crate::policy::snapshot::IdentityIndex;
use crate::policy::{Objects, Snapshot};
use crate::posture::Posture;

use super::Admin;
use crate::api::access::Operator;
use crate::api::guard::Admitted;
use crate::api::refusal::Refusal;

/// The parameters of a query, as sent.
pub(super) type Parameters = Query<Vec<(String, String)>>;

pub(super) async fn identities(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Query(query): Parameters,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    identities_among(&admin, &operator, &query, published.snapshot().objects().identities.values().map(Arc::as_ref))
}

/// A list of these identities, in the order of their ids.
pub(super) fn identities_among<'a>(
    admin: &Admin,
    operator: &Operator,
    query: &[(String, String)],
    among: impl Iterator<Item = &'a Identity>,
) -> Result<Response, Refusal> {
    busy(|| {
        let page = ListQuery::<Identity>::read(query)?.page(among);
        let postures: Vec<_> = page.items.iter().map(|identity| known(admin, &identity.id)).collect();
        let mut postures = postures.iter();
        let page = page.map(|identity| {
            let shown = shown(admin, identity, postures.next().and_then(Option::as_ref));
            with_token(shown, admin, operator, identity)
        });
        Ok(Json(openziti::list::<Identity, _>(page)).into_response())
    })
}

pub(super) async fn identity(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let identity = published.snapshot().objects().identities.get(id.as_str()).ok_or(ErrorCode::NotFound)?;
    let posture = known(&admin, &identity.id);
    let shown = with_token(shown(&admin, identity, posture.as_ref()), &admin, &operator, identity);
    Ok(Json(openziti::detail(shown)).into_response())
}

fn with_token<'a>(
    shown: IdentityDetail<'a>,
    admin: &Admin,
    operator: &Operator,
    identity: &'a Identity,
) -> IdentityDetail<'a> {
    match admin.token(operator, identity) {
        Some(token) => shown.with_token(identity, token),
        None => shown,
    }
}

/// `asIdentity` asks for the services that policies give to an identity, as it is shown them.
pub(super) async fn services(
    State(admin): State<Admin>,
    Extension(admitted): Extension<Admitted>,
    Query(query): Parameters,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let snapshot = published.snapshot();
    let wanted = admitted.wanted_config_types(&query)?;
    let sight = ServiceSight::new(snapshot, &wanted);
    match as_identity(snapshot, &query)? {
        Some(identity) => {
            let own = snapshot.services_for(identity);
            services_among(&sight.of(identity), &query, own.into_iter())
        }
        None => services_among(&sight, &query, snapshot.objects().services.values().map(Arc::as_ref)),
    }
}

/// The identity that an operator wants to look as, by its id or its name.
fn as_identity(snapshot: &Snapshot, query: &[(String, String)]) -> Result<Option<IdentityIndex>, Refusal> {
    let named = query.iter().rev().find(|(name, _)| name == "asIdentity").map(|(_, value)| value.as_str());
    let Some(named) = named.filter(|named| !named.is_empty()) else {
        return Ok(None);
    };
    let by_name = || {
        let identities = &snapshot.objects().identities;
        let known = identities.values().find(|identity| *identity.name == *named)?;
        snapshot.find_identity(&known.id)
    };
    let known = snapshot.find_identity(&IdentityId::from(named)).or_else(by_name);
    Ok(Some(known.ok_or(ErrorCode::NotFound)?))
}

/// How services are shown to an operator.
#[derive(Clone, Copy)]
pub(super) struct ServiceSight<'a> {
    snapshot: &'a Snapshot,
    configs: ShownConfigs<'a>,
    /// Whose eyes they are seen with.
    identity: Option<IdentityIndex>,
}

impl<'a> ServiceSight<'a> {
    /// The services of a snapshot as operators wrote them, with these configs.
    pub(super) fn new(snapshot: &'a Snapshot, wanted: &'a WantedConfigTypes) -> Self {
        ServiceSight { snapshot, configs: ShownConfigs::new(snapshot.objects(), wanted), identity: None }
    }

    /// The same services as an identity is shown them.
    fn of(mut self, identity: IdentityIndex) -> Self {
        if let Some(known) = self.snapshot.identity(identity) {
            self.configs = self.configs.to(known);
        }
        self.identity = Some(identity);
        self
    }

    /// A service as an operator wrote it, and what its configs come to.
    fn show(&self, service: &'a Service) -> ServiceDetail<'a> {
        let written = self.snapshot.objects().services.get(&service.id).map_or(service, |written| written);
        let index = self.snapshot.find_service(&service.id);
        let in_force = index.and_then(|index| self.snapshot.service(index)).map_or(service, |in_force| in_force);
        let shown = openziti::service(written).with_configs(written, &self.configs).with_inside(written, in_force);
        match self.identity.zip(index) {
            Some((identity, index)) => shown.seen_by(self.snapshot.permissions(identity, index), Vec::new()),
            None => shown,
        }
    }
}

/// A list of these services, in the order of their ids.
pub(super) fn services_among<'a>(
    sight: &ServiceSight<'a>,
    query: &[(String, String)],
    among: impl Iterator<Item = &'a Service>,
) -> Result<Response, Refusal> {
    busy(|| {
        let page = ListQuery::<Service>::read(query)?.page(among).map(|service| sight.show(service));
        Ok(Json(openziti::list::<Service, _>(page)).into_response())
    })
}

pub(super) async fn service(
    State(admin): State<Admin>,
    Extension(admitted): Extension<Admitted>,
    Path(id): Path<String>,
    Query(query): Parameters,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let service = published.snapshot().objects().services.get(id.as_str()).ok_or(ErrorCode::NotFound)?;
    let wanted = admitted.wanted_config_types(&query)?;
    Ok(Json(openziti::detail(ServiceSight::new(published.snapshot(), &wanted).show(service))).into_response())
}

pub(super) async fn service_policies(
    State(admin): State<Admin>,
    Query(query): Parameters,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let objects = published.snapshot().objects();
    policies_among(objects, &query, objects.policies.values().map(Arc::as_ref))
}

/// A list of these policies, in the order of their ids.
pub(super) fn policies_among<'a>(
    objects: &'a Objects,
    query: &[(String, String)],
    among: impl Iterator<Item = &'a ServicePolicy>,
) -> Result<Response, Refusal> {
    busy(|| {
        let query = ListQuery::<ListedPolicy<'_>>::read(query)?;
        let names = RoleNames::of(objects);
        let policies: Vec<_> = among.map(|policy| ListedPolicy::new(policy, &names)).collect();
        let page = query.page(policies.iter()).map(|listed| openziti::service_policy(listed.policy, &names));
        Ok(Json(openziti::list::<ListedPolicy<'_>, _>(page)).into_response())
    })
}

pub(super) async fn service_policy(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let objects = published.snapshot().objects();
    let policy = objects.policies.get(id.as_str()).ok_or(ErrorCode::NotFound)?;
    Ok(Json(openziti::detail(openziti::service_policy(policy, &RoleNames::of(objects)))).into_response())
}

pub(super) async fn posture_checks(State(admin): State<Admin>, Query(query): Parameters) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    checks_among(&query, published.snapshot().objects().checks.values().map(Arc::as_ref))
}

/// A list of these checks, as far as OpenZiti has a word for them, in the order of their ids.
pub(super) fn checks_among<'a>(
    query: &[(String, String)],
    among: impl Iterator<Item = &'a PostureCheck>,
) -> Result<Response, Refusal> {
    busy(|| {
        let checks = among.filter(|check| has_a_word(check));
        let page = ListQuery::<PostureCheck>::read(query)?.page(checks).map(openziti::posture_check);
        Ok(Json(openziti::list::<PostureCheck, _>(page)).into_response())
    })
}

pub(super) async fn posture_check(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let known = published.snapshot().objects().checks.get(id.as_str());
    let check = known.filter(|check| has_a_word(check)).ok_or(ErrorCode::NotFound)?;
    Ok(Json(openziti::detail(openziti::posture_check(check))).into_response())
}

/// Whether OpenZiti has a word for the type of a check. Its clients cannot read a list in which one check has no type they know.
pub(super) fn has_a_word(check: &PostureCheck) -> bool {
    TypeId::of(&check.check.predicate).is_some()
}

/// What is known of an identity's device.
fn known(admin: &Admin, identity: &IdentityId) -> Option<Posture> {
    admin.enforcer.device(identity).map(|device| device.known().posture())
}

fn shown<'a>(admin: &Admin, identity: &'a Identity, posture: Option<&'a Posture>) -> IdentityDetail<'a> {
    let mfa_enabled = admin.factors.is_enabled(&identity.id);
    openziti::identity(identity).with_activity(Activity { connected: false, mfa_enabled, posture })
}
