//! Services as the caller sees them: its own, with what each policy asks and how it stands.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Client;
use super::admission::Asker;
use crate::api::foreign;
use crate::api::refusal::Refusal;
use crate::clock::Timestamp;
use crate::decision::engine::{PolicyStanding, standings};
use crate::dialect::openziti::{
    self, ErrorCode, ListQuery, PostureQueries, ServiceDetail, ShownConfigs, TypeId, WantedConfigTypes,
};
use crate::enforce::{Device, Published, busy};
use crate::id::ServiceId;
use crate::policy::objects::Service;
use crate::policy::snapshot::IdentityIndex;
use crate::policy::{ServiceIndex, Snapshot};
use crate::posture::Posture;

/// `GET /services`.
pub(super) async fn services(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    busy(|| {
        let published = client.enforcer.published();
        let view = View::of(&client, &published, &asker)?;
        let wanted = asker.wanted_config_types(&query)?;
        let query = ListQuery::<Service>::read(&query)?;
        let own = view.snapshot.services_for(view.identity).into_iter().filter(|service| view.shows(service));
        let page = query.page(own).map(|service| view.detail(service, &wanted));
        Ok(Json(openziti::list::<Service, _>(page)).into_response())
    })
}

/// `GET /services/{id}`.
pub(super) async fn service(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
    Path(id): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let published = client.enforcer.published();
    let view = View::of(&client, &published, &asker)?;
    let (_, service) = view.own(&ServiceId::new(id)).ok_or(ErrorCode::NotFound)?;
    let wanted = asker.wanted_config_types(&query)?;
    Ok(Json(openziti::detail(view.detail(service, &wanted))).into_response())
}

/// `GET /services/{id}/terminators`: the gateway leads to a service by itself.
pub(super) async fn terminators(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
    Path(id): Path<String>,
    query: Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    client.must_know(&asker, id)?;
    foreign::list(query).await
}

/// `GET /services/{id}/edge-routers`: none, for the same reason.
pub(super) async fn edge_routers(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    client.must_know(&asker, id)?;
    Ok(Json(openziti::detail(json!({ "edgeRouters": [] }))).into_response())
}

impl Client {
    /// Refuses to tell of a service that the caller may not know of.
    fn must_know(&self, asker: &Asker, id: String) -> Result<(), Refusal> {
        let published = self.enforcer.published();
        View::of(self, &published, asker)?.own(&ServiceId::new(id)).ok_or(ErrorCode::NotFound)?;
        Ok(())
    }
}

impl Asker {
    /// The types of configs whose data is wanted with services: those of the query, or else those of the login.
    fn wanted_config_types(&self, query: &[(String, String)]) -> Result<Arc<WantedConfigTypes>, Refusal> {
        if let Some(wanted) = WantedConfigTypes::read(query)? {
            return Ok(Arc::new(wanted));
        }
        Ok(self.session.as_ref().map(|(_, session)| Arc::clone(&session.config_types)).unwrap_or_default())
    }
}

/// What one caller sees at one moment.
pub(super) struct View<'a> {
    client: &'a Client,
    snapshot: &'a Snapshot,
    device: &'a Device,
    certificate: &'a str,
    identity: IdentityIndex,
    posture: Posture,
    now: Timestamp,
}

impl<'a> View<'a> {
    pub(super) fn of(client: &'a Client, published: &'a Published, asker: &'a Asker) -> Result<Self, Refusal> {
        let snapshot = published.snapshot();
        let identity = snapshot.find_identity(asker.device.identity()).ok_or(ErrorCode::Unauthorized)?;
        let certificate = asker.connection.fingerprint();
        let now = client.enforcer.clock().now();
        let posture = asker.device.known().posture().as_proven_by(certificate).into_owned();
        Ok(View { client, snapshot, device: &asker.device, certificate, identity, posture, now })
    }

    /// A service the caller may know of.
    pub(super) fn own(&self, id: &ServiceId) -> Option<(ServiceIndex, &'a Service)> {
        let index = self.snapshot.find_service(id)?;
        let service = self.snapshot.service(index)?;
        let linked = !self.snapshot.permissions(self.identity, index).is_empty();
        (linked && self.shows(service)).then_some((index, &**service))
    }

    /// A concealed service is shown to whom it is open, and to nobody else.
    fn shows(&self, service: &Service) -> bool {
        let open = || {
            let index = self.snapshot.find_service(&service.id)?;
            let enforcer = &self.client.enforcer;
            enforcer.verdict(self.snapshot, self.device, self.certificate, index, self.now).ok()
        };
        !service.concealed || open().is_some()
    }

    fn detail(&self, service: &'a Service, wanted: &WantedConfigTypes) -> ServiceDetail<'a> {
        let mut configs = ShownConfigs::new(self.snapshot.objects(), wanted);
        if let Some(identity) = self.snapshot.identity(self.identity) {
            configs = configs.to(identity);
        }
        let detail = openziti::service(service).with_configs(service, &configs);
        let Some(index) = self.snapshot.find_service(&service.id) else {
            return detail;
        };
        let standings = standings(self.snapshot, self.identity, index, &self.posture, self.now);
        let queries = standings.iter().filter_map(|standing| self.queries(standing)).collect();
        detail.seen_by(self.snapshot.permissions(self.identity, index), queries)
    }

    /// Checks without a type in OpenZiti's language have no query there, but count for whether the policy passes.
    fn queries(&self, standing: &PolicyStanding) -> Option<PostureQueries<'a>> {
        let policy = self.snapshot.policy(&standing.policy.id)?;
        let asked = standing.checks.iter().filter(|asked| TypeId::of(&asked.check.predicate).is_some());
        let objects = asked.filter_map(|asked| self.snapshot.posture_check(&asked.check.id));
        let queries = objects.map(|object| openziti::posture_query(object, &self.posture, self.now)).collect();
        Some(PostureQueries::new(policy, standing.is_passing, queries))
    }
}
