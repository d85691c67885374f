//! The client's side of OpenZiti's posture exchange: the queries a service carries, and the responses to them.
//!
//! Responses go as a JSON array to `POST /edge/client/v1/posture-response-bulk`.

use serde::{Deserialize, Serialize};

use super::Obstacle;
use crate::id::CheckId;
use crate::posture::report::Seen;

/// One posture query: which check asks, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Query {
    /// The posture check.
    pub id: CheckId,
    /// What it wants to know.
    #[serde(flatten)]
    pub asks: Asks,
}

/// What a posture query wants to know.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "queryType")]
pub enum Asks {
    /// The operating system.
    #[serde(rename = "OS")]
    Os,
    /// The domain.
    #[serde(rename = "DOMAIN")]
    Domain,
    /// The hardware addresses.
    #[serde(rename = "MAC")]
    Mac,
    /// One process.
    #[serde(rename = "PROCESS")]
    Process {
        /// Which.
        process: QueryProcess,
    },
    /// Several processes.
    #[serde(rename = "PROCESS_MULTI")]
    ProcessMulti {
        /// Which.
        processes: Vec<QueryProcess>,
    },
    /// Something no posture response answers, such as MFA.
    #[serde(other)]
    Other,
}

impl Asks {
    /// Asks for one process.
    pub fn process(path: impl Into<String>) -> Self {
        Asks::Process { process: QueryProcess { path: path.into() } }
    }

    /// Asks for several processes.
    pub fn processes<Path: Into<String>>(paths: impl IntoIterator<Item = Path>) -> Self {
        let processes = paths.into_iter().map(|path| QueryProcess { path: path.into() });
        Asks::ProcessMulti { processes: processes.collect() }
    }

    /// The executables it names.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let processes = match self {
            Asks::Process { process } => std::slice::from_ref(process),
            Asks::ProcessMulti { processes } => processes.as_slice(),
            Asks::Os | Asks::Domain | Asks::Mac | Asks::Other => &[],
        };
        processes.iter().map(|process| process.path.as_str())
    }
}

/// A process a query names. Its platform is a hint only: a path of another platform is simply not running here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct QueryProcess {
    /// The executable's path.
    pub path: String,
}

/// One posture response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostureResponse {
    /// The posture check it answers.
    pub id: CheckId,
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
}

/// The content of a posture response, told apart by `typeId`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "typeId", rename_all_fields = "camelCase")]
pub enum Answer {
    /// The operating system.
    #[serde(rename = "OS")]
    Os {
        /// Its name.
        #[serde(rename = "type")]
        name: String,
        /// Its version.
        version: String,
        /// Its build.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        build: Option<String>,
    },
    /// The domain.
    #[serde(rename = "DOMAIN")]
    Domain {
        /// Its name; empty when the device is joined to none.
        domain: String,
    },
    /// The hardware addresses.
    #[serde(rename = "MAC")]
    Mac {
        /// All of them.
        mac_addresses: Vec<String>,
    },
    /// One process.
    #[serde(rename = "PROCESS")]
    Process {
        /// The executable's path.
        path: String,
        /// Whether it runs.
        is_running: bool,
        /// The executable's digest; empty when unknown.
        hash: String,
        /// Fingerprints of its signers.
        signer_fingerprints: Vec<String>,
    },
    /// The device just woke or was unlocked.
    #[serde(rename = "ENDPOINT_STATE")]
    EndpointState {
        /// It woke.
        woken: bool,
        /// It was unlocked.
        unlocked: bool,
    },
}

impl PostureResponse {
    /// The response of a query; `None` for what OpenZiti has no response for.
    pub(super) fn new(query: &CheckId, seen: Seen) -> Option<Self> {
        Some(PostureResponse { id: query.clone(), answer: Answer::of(seen)? })
    }
}

impl Answer {
    fn of(seen: Seen) -> Option<Self> {
        Some(match seen {
            Seen::Os(os) => Answer::Os { name: os.name, version: os.version, build: os.build },
            Seen::Domain(domain) => Answer::Domain { domain },
            Seen::Macs(mac_addresses) => Answer::Mac { mac_addresses },
            Seen::Process(process) => Answer::Process {
                path: process.path,
                is_running: process.running,
                hash: process.hash,
                signer_fingerprints: process.signer_fingerprints,
            },
            Seen::Endpoint { woken, unlocked } => Answer::EndpointState { woken, unlocked },
            _ => return None,
        })
    }
}

/// The answers to a list of queries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// What to send.
    pub responses: Vec<PostureResponse>,
    /// What could not be answered, and why.
    pub unanswered: Vec<Unanswered>,
}

/// A query without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// The posture check that asked.
    pub id: CheckId,
    /// What stood in the way.
    pub reason: Obstacle,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn queries_are_read_as_a_controller_sends_them() {
        let json = json!([
            {"id": "a", "createdAt": "..", "tags": {}, "queryType": "OS", "isPassing": false, "timeout": -1, "processes": null},
            {"id": "b", "queryType": "PROCESS", "process": {"osType": "Linux", "path": "/opt/b"}},
            {"id": "c", "queryType": "PROCESS_MULTI", "processes": [{"osType": "Windows", "path": "C:\\c.exe"}, {"path": "/opt/c"}]},
            {"id": "d", "queryType": "MFA", "promptOnWake": true},
        ]);
        let queries: Vec<Query> = serde_json::from_value(json).unwrap();
        let asks: Vec<_> = queries.into_iter().map(|query| query.asks).collect();
        assert_eq!(asks, [Asks::Os, Asks::process("/opt/b"), Asks::processes(["C:\\c.exe", "/opt/c"]), Asks::Other]);
    }

    #[test]
    fn each_kind_of_observation_has_the_field_names_of_the_wire() {
        let os = Seen::Os(crate::posture::facts::Os {
            name: "Linux".to_owned(),
            version: "6.1.0".to_owned(),
            ..Default::default()
        });
        let endpoint = Seen::Endpoint { woken: true, unlocked: false };
        for (seen, expected) in [
            (os, json!({"id": "x", "typeId": "OS", "type": "Linux", "version": "6.1.0"})),
            (Seen::Domain(String::new()), json!({"id": "x", "typeId": "DOMAIN", "domain": ""})),
            (Seen::Macs(vec![]), json!({"id": "x", "typeId": "MAC", "macAddresses": []})),
            (endpoint, json!({"id": "x", "typeId": "ENDPOINT_STATE", "woken": true, "unlocked": false})),
        ] {
            let response = PostureResponse::new(&CheckId::from("x"), seen).unwrap();
            let json = serde_json::to_value(&response).unwrap();
            assert_eq!(json, expected);
            assert_eq!(serde_json::from_value::<PostureResponse>(json).unwrap(), response);
        }
    }
}
