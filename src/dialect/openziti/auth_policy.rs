//! How identities show who they are: the one policy there is, which OpenZiti's command line asks for by name before it makes an
//! identity.

use serde::Serialize;

use super::envelope::{Entity, Links};
use super::unmade;

/// The policy of every identity: its certificate, while it is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthPolicy;

impl AuthPolicy {
    /// The only one.
    pub const ALL: [AuthPolicy; 1] = [AuthPolicy];
    /// The id.
    pub const ID: &'static str = "default";
    /// The name.
    pub const NAME: &'static str = "Default";
}

/// The policy as lists and details show it.
#[derive(Clone, Debug, Serialize)]
pub struct AuthPolicyDetail {
    #[serde(flatten)]
    entity: Entity<'static>,
    name: &'static str,
    primary: Primary,
    secondary: Secondary,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Primary {
    cert: Cert,
    ext_jwt: ExtJwt,
    updb: Updb,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cert {
    allowed: bool,
    allow_expired_certs: bool,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExtJwt {
    allowed: bool,
    allowed_signers: [&'static str; 0],
}

/// Passwords; operators' are named in the configuration, identities have none.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Updb {
    allowed: bool,
    lockout_duration_minutes: u32,
    max_attempts: u32,
    min_password_length: u32,
    require_mixed_case: bool,
    require_number_char: bool,
    require_special_char: bool,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Secondary {
    require_ext_jwt_signer: Option<&'static str>,
    require_totp: bool,
}

/// Shows the policy.
pub fn auth_policy(_: &AuthPolicy) -> AuthPolicyDetail {
    AuthPolicyDetail {
        entity: Entity::new(AuthPolicy::ID, unmade(), Links::own("auth-policies", AuthPolicy::ID)),
        name: AuthPolicy::NAME,
        primary: Primary {
            cert: Cert { allowed: true, allow_expired_certs: false },
            ext_jwt: ExtJwt { allowed: false, allowed_signers: [] },
            updb: Updb {
                allowed: false,
                lockout_duration_minutes: 0,
                max_attempts: 0,
                min_password_length: 0,
                require_mixed_case: false,
                require_number_char: false,
                require_special_char: false,
            },
        },
        secondary: Secondary { require_ext_jwt_signer: None, require_totp: false },
    }
}
