//! Names of things: one type for each kind of object, so that a service's id cannot be passed for a policy's.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! id_types {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// Cheap to clone; compares and hashes as its text.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(#[schemars(with = "String")] Arc<str>);

        impl $name {
            /// Wraps a text as an id.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                $name(text.into())
            }

            /// The id's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, formatter)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $name(text.into())
            }
        }
    )*};
}

id_types! {
    /// The id of an identity.
    IdentityId;
    /// The id of a service.
    ServiceId;
    /// The id of a service policy.
    PolicyId;
    /// The id of a posture check.
    CheckId;
    /// The id of a list of device names that checks look in.
    ListId;
    /// The id of an uploaded signing certificate.
    CertificateId;
    /// The id of a connection to a posture provider.
    ConnectionId;
    /// The id of a config of services.
    ConfigId;
    /// The id of a type of configs.
    ConfigTypeId;
}
