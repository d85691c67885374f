//! OpenZiti posture checks, reports, records and envelopes.
