//! The connectors: each integration with a connector is asked again and again, and what it says is kept with the devices.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::custom::{self, Answer, KnownDevice, Score, Target};
use super::retry::Backoff;
use crate::clock::Timestamp;
use crate::enforce::{Enforcer, wait_until};
use crate::id::{ConnectionId, IdentityId};
use crate::limits;
use crate::policy::integration::{ConnectionError, ConnectionState, Integration, Provider};
use crate::policy::objects::Identity;
use crate::policy::subject::Subject;
use crate::posture::Posture;
use crate::posture::facts::Source;
use crate::posture::provider::{ProviderMember, ProviderRecord, ProviderValue};
use crate::posture::report::{Observation, Report, Seen};
use crate::store::Sealer;

/// Asks the posture providers of the policy in force.
#[derive(Clone, Debug)]
pub struct Connectors {
    /// What is in force, and where answers are kept.
    pub enforcer: Arc<Enforcer>,
    /// Decrypts the secrets of integrations.
    pub sealer: Arc<Sealer>,
    /// Reaches the providers.
    pub client: reqwest::Client,
}

/// A connector at work, until it is told to stop.
struct Running {
    integration: Arc<Integration>,
    stop: CancellationToken,
}

/// Why an integration was not asked, or its answer not kept.
#[derive(Clone, Debug)]
struct Trouble {
    code: &'static str,
    message: String,
}

impl Connectors {
    /// Runs a connector for each integration that has one, following the policy, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut generations = self.enforcer.generations();
        let tasks = TaskTracker::new();
        let mut running: HashMap<ConnectionId, Running> = HashMap::new();
        loop {
            self.follow(&mut running, &tasks, &stop);
            let Some(Ok(())) = stop.run_until_cancelled(generations.changed()).await else { break };
        }
        tasks.close();
        tasks.wait().await;
    }

    /// Stops what is gone or was changed, and starts what is new.
    fn follow(&self, running: &mut HashMap<ConnectionId, Running>, tasks: &TaskTracker, stop: &CancellationToken) {
        let published = self.enforcer.published();
        let integrations = &published.snapshot().objects().integrations;
        running.retain(|id, connector| {
            let unchanged = integrations.get(id).is_some_and(|wanted| **wanted == *connector.integration);
            if !unchanged {
                connector.stop.cancel();
            }
            unchanged
        });
        for (id, integration) in integrations {
            if integration.provider != Provider::Custom || running.contains_key(id) {
                continue;
            }
            let own_stop = stop.child_token();
            let (connectors, integration) = (self.clone(), Arc::clone(integration));
            running.insert(id.clone(), Running { integration: Arc::clone(&integration), stop: own_stop.clone() });
            tasks.spawn(async move {
                own_stop.run_until_cancelled(connectors.ask_for_ever(&integration)).await;
            });
        }
    }

    async fn ask_for_ever(&self, integration: &Integration) {
        loop {
            let asked_at = self.enforcer.clock().now();
            let due = asked_at.after(integration.interval);
            let mut backoff = Backoff::until(due);
            while let Err(trouble) = self.ask_once(integration).await {
                self.failed(integration, &trouble);
                let Some(retry_at) = backoff.retry_at(self.enforcer.clock().now()) else { break };
                wait_until(&**self.enforcer.clock(), retry_at).await;
            }
            wait_until(&**self.enforcer.clock(), due).await;
        }
    }

    /// Asks about every known device, call by call. An answer to one call is kept even when a later call fails.
    async fn ask_once(&self, integration: &Integration) -> Result<(), Trouble> {
        let target = self.target(integration)?;
        let devices = self.known_devices();
        let mut heard = Heard::default();
        for call in devices.chunks(limits::PROVIDER_DEVICES_PER_CALL_MAX) {
            let answer = custom::ask(&self.client, &target, call).await;
            let answer = answer.map_err(|error| Trouble { code: error.code(), message: error.to_string() })?;
            heard.missing += answer.missing;
            heard.ignored += answer.ignored.len();
            for ignored in &answer.ignored {
                tracing::warn!(integration = %integration.id, device = ignored.device_id, why = ignored.why.code(), "a provider's score is ignored");
            }
            heard.kept += self.keep(integration, answer).await?;
        }
        self.succeeded(integration, heard);
        Ok(())
    }

    fn target(&self, integration: &Integration) -> Result<Target, Trouble> {
        let unusable = |code, message: String| Trouble { code, message };
        let sealed = integration.secrets.get(Target::SECRET);
        let sealed =
            sealed.ok_or_else(|| unusable("provider-secret-missing", format!("{} is not set", Target::SECRET)))?;
        let context = Integration::secret_context(&integration.id, Target::SECRET);
        let secret = self.sealer.open(&context, sealed).map_err(|error| unusable(error.code(), error.to_string()))?;
        Target::of(integration, secret).map_err(|error| unusable("provider-target-invalid", error.to_string()))
    }

    /// Enabled identities whose devices ever connected or reported.
    fn known_devices(&self) -> Vec<KnownDevice> {
        let published = self.enforcer.published();
        let identities = published.snapshot().objects().identities.values().filter(|identity| !identity.disabled);
        let known = identities.filter_map(|identity| {
            let device = self.enforcer.device(&identity.id)?;
            Some(described(identity, &device.known().posture()))
        });
        known.collect()
    }

    /// Keeps the scores of one answer, several at a time. Returns how many were kept.
    async fn keep(&self, integration: &Integration, answer: Answer) -> Result<usize, Trouble> {
        let now = self.enforcer.clock().now();
        let mut kept = 0;
        let mut scores = answer.scores.into_iter().peekable();
        while scores.peek().is_some() {
            let mut writes = tokio::task::JoinSet::new();
            for (device, score) in scores.by_ref().take(limits::PROVIDER_WRITES_MAX) {
                let Some(device) = self.enforcer.device_of_known(&IdentityId::from(device.as_str())) else { continue };
                let report = scored(&integration.id, score, now);
                let enforcer = Arc::clone(&self.enforcer);
                writes.spawn(async move { enforcer.report(&device, &report).await });
            }
            while let Some(written) = writes.join_next().await {
                match written {
                    Ok(Ok(())) => kept += 1,
                    Ok(Err(error)) => {
                        return Err(Trouble { code: "provider-score-not-stored", message: error.to_string() });
                    }
                    Err(error) => {
                        return Err(Trouble { code: "provider-score-not-stored", message: error.to_string() });
                    }
                }
            }
        }
        Ok(kept)
    }

    fn succeeded(&self, integration: &Integration, heard: Heard) {
        let now = self.enforcer.clock().now();
        self.enforcer.metrics().provider_poll(integration.provider.as_str(), "ok");
        tracing::info!(
            integration = %integration.id, name = &*integration.name,
            kept = heard.kept, missing = heard.missing, ignored = heard.ignored,
            "a posture provider answered"
        );
        let state = ConnectionState { last_success_at: Some(now), last_error: None };
        self.enforcer.connections().keep(&integration.id, state);
    }

    fn failed(&self, integration: &Integration, trouble: &Trouble) {
        self.enforcer.metrics().provider_poll(integration.provider.as_str(), trouble.code);
        tracing::warn!(
            integration = %integration.id, name = &*integration.name, code = trouble.code, error = trouble.message,
            "a posture provider cannot be asked"
        );
        let before = self.enforcer.connections().state(&integration.id);
        let state = ConnectionState {
            last_success_at: before.and_then(|state| state.last_success_at),
            last_error: Some(ConnectionError {
                at: self.enforcer.clock().now(),
                code: trouble.code,
                message: trouble.message.as_str().into(),
            }),
        };
        self.enforcer.connections().keep(&integration.id, state);
    }
}

/// What came of asking.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    kept: usize,
    missing: usize,
    ignored: usize,
}

/// A device as it is told to the provider: what is not known stays blank.
fn described(identity: &Identity, posture: &Posture) -> KnownDevice {
    let text = |fact: Option<&crate::posture::Fact<String>>| fact.map(|fact| fact.value.clone()).unwrap_or_default();
    let email = identity.subjects.iter().find_map(|subject| match subject {
        Subject::Email(address) => Some(address.to_string()),
        _ => None,
    });
    let mac = posture.macs.as_ref().and_then(|macs| macs.value.first()).map(|address| with_colons(address));
    KnownDevice {
        device_id: identity.id.to_string(),
        email: email.unwrap_or_default(),
        serial_number: text(posture.inventory().serial_number.as_ref()),
        mac_address: mac.unwrap_or_default(),
        hostname: text(posture.inventory().hostname.as_ref()),
        ..KnownDevice::default()
    }
}

fn with_colons(bare: &str) -> String {
    let mut text = String::with_capacity(bare.len() * 3 / 2);
    for (digit, position) in bare.chars().zip(0usize..) {
        if position > 0 && position.is_multiple_of(2) {
            text.push(':');
        }
        text.push(digit);
    }
    text
}

fn scored(connection: &ConnectionId, score: Score, now: Timestamp) -> Report {
    let values = [
        (ProviderMember::ProviderId, ProviderValue::Text(score.s2s_id)),
        (ProviderMember::Score, ProviderValue::Number(score.score)),
    ];
    let record = ProviderRecord { connection: connection.clone(), values: values.into() };
    let observation = Observation { asked_by: None, seen: Seen::Provider(record) };
    Report { received_at: now, source: Source::Provider, observations: vec![observation] }
}
