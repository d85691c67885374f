//! What vendors say of a device, read as the admin endpoint reads it.

use postern::clock::Timestamp;
use postern::dialect::cloudflare::read_provider_object;
use postern::policy::integration::Provider;
use postern::posture::provider::ProviderValues;
use serde_json::Value;

/// The values of one record; `None` when the provider has no record that can be used.
///
/// Members that cannot be read are left out, as the model of a device is neutral. A score that cannot be read leaves nothing.
pub(super) fn values(said: &Value, now: Timestamp) -> Option<ProviderValues> {
    let provider = Provider::ALL.iter().copied().find(|provider| said["type"] == provider.as_str())?;
    let mut said = said.as_object()?.clone();
    // CrowdStrike tells when a device was last seen only while it may still be seen.
    if said.get("state").is_some_and(|state| state == "offline") {
        said.retain(|name, _| !name.starts_with("last_seen"));
    }
    loop {
        match read_provider_object(provider, &said, now) {
            Ok(values) => return Some(values),
            Err(error) => {
                let member = error.items()[0].pointer()?.trim_start_matches('/').to_owned();
                if member == "score" {
                    return None;
                }
                said.remove(&member)?;
            }
        }
    }
}
