//! Every bound of the program, in one place: name, unit, reason.

use std::time::Duration;

/// Longest accepted posture report, in bytes.
pub const REPORT_BYTES_MAX: usize = 1024 * 1024;
/// Most observations in one posture report.
pub const REPORT_OBSERVATIONS_MAX: usize = 4096;
/// Most process facts kept for one identity.
pub const PROCESSES_PER_IDENTITY_MAX: usize = 1024;
/// Most MAC addresses kept for one identity.
pub const MACS_PER_IDENTITY_MAX: usize = 256;
/// Longest text of one reported fact (a path, a domain, a version), in bytes.
pub const FACT_TEXT_BYTES_MAX: usize = 4096;
/// Most further digests of one reported process.
pub const DIGESTS_PER_PROCESS_MAX: usize = 4;
/// Numbers for signed reports that one identity may have out; past it the oldest stops counting.
pub const EVIDENCE_NONCES_PER_IDENTITY_MAX: usize = 8;
/// How long a number for a signed report counts.
pub const EVIDENCE_NONCE_LIFETIME: Duration = Duration::from_secs(5 * 60);
/// How far the clock of a device that signs may be from the gateway's, either way.
pub const EVIDENCE_CLOCK_WINDOW: Duration = Duration::from_secs(5 * 60);
/// Longest header field of a signed report, in bytes: an RSA signature of 8192 bits in base64, with room to spare.
pub const EVIDENCE_FIELD_BYTES_MAX: usize = 2048;
/// Most services one device is told about.
pub const OWN_SERVICES_MAX: usize = 1000;
/// Most signers of one reported process.
pub const SIGNERS_PER_PROCESS_MAX: usize = 64;
/// Most files, volumes, antivirus products, variables or unknown facts of one device, each.
pub const INVENTORY_ENTRIES_MAX: usize = 1024;
/// Most certificates of one device.
pub const CERTIFICATES_PER_IDENTITY_MAX: usize = 64;
/// Longest certificate of a device, or that signs those of devices, in bytes.
pub const POSTURE_CERTIFICATE_BYTES_MAX: usize = 16 * 1024;
/// Most fingerprints of one file's signature.
pub const THUMBPRINTS_PER_FILE_MAX: usize = 8;
/// Most posture providers that hold a record of one device.
pub const PROVIDERS_PER_IDENTITY_MAX: usize = 64;
/// How long a client counts as present after its last report, in times its reporting schedule.
pub const CLIENT_SESSION_SCHEDULES: u32 = 3;
/// Most moments looked ahead to for the one at which a check's answer changes; past it the check is simply asked again earlier.
pub const ASSESSMENT_STEPS_MAX: usize = 64;
/// Most entries of one list in a body in OpenZiti's language.
pub const LIST_ENTRIES_MAX: usize = 4096;
/// Longest filter, and longest order, of a list in OpenZiti's language, in bytes.
pub const FILTER_BYTES_MAX: usize = 8 * 1024;
/// Deepest nesting of such a filter.
pub const FILTER_DEPTH_MAX: usize = 64;
/// Most comparisons in such a filter: each is made for every object of the list.
pub const FILTER_LEAVES_MAX: usize = 256;
/// Most entries of one list in such a filter.
pub const FILTER_LIST_ENTRIES_MAX: usize = 1024;
/// Most fields a list is sorted by.
pub const SORT_FIELDS_MAX: usize = 8;
/// Most roles a list is narrowed by.
pub const ROLE_FILTERS_MAX: usize = 64;
/// Most entries of one list in a posture rule in Cloudflare's language.
pub const RULE_ENTRIES_MAX: usize = 256;
/// Longest id by which such a rule names something else, in characters.
pub const RULE_REFERENCE_CHARS_MAX: usize = 36;
/// Longest duration in Cloudflare's language, in bytes of its text.
pub const RULE_DURATION_BYTES_MAX: usize = 64;
/// Longest duration in Cloudflare's language (a century).
pub const RULE_DURATION_MAX: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);
/// Shortest reporting schedule of a posture rule in Cloudflare's language.
pub const RULE_SCHEDULE_MIN: Duration = Duration::from_secs(60);
/// Most entries of one list of device names.
pub const LIST_ITEMS_MAX: usize = 20_000;
/// Longest entry of a list of device names, in bytes: no manufacturer's serial number comes near.
pub const LIST_VALUE_BYTES_MAX: usize = 128;
/// Longest description of a list of device names, or of one of its entries, in bytes.
pub const LIST_DESCRIPTION_BYTES_MAX: usize = 1024;
/// Most bytes in the entries of one list and their descriptions together, so that it fits into [`STORE_VALUE_BYTES_MAX`] even if
/// every letter must be escaped.
pub const LIST_TEXT_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Most notes in one reply in Cloudflare's language; further ones are only counted.
pub const REPLY_NOTES_MAX: usize = 32;
/// Most characters shown of what a note is about.
pub const NOTE_EXCERPT_CHARS_MAX: usize = 80;
/// Longest text that holds an uploaded certificate, in bytes: [`POSTURE_CERTIFICATE_BYTES_MAX`] in base64, and what else was
/// pasted with it.
pub const CERTIFICATE_TEXT_BYTES_MAX: usize = 64 * 1024;
/// Shortest time between two questions to a posture provider.
pub const PROVIDER_INTERVAL_MIN: Duration = Duration::from_secs(60);
/// Longest address, id or tenant of a posture provider's account, in bytes; addresses have [`PROVIDER_URL_BYTES_MAX`].
pub const PROVIDER_MEMBER_BYTES_MAX: usize = 1024;
/// Most role attributes, and most tags, of one object.
pub const ATTRIBUTES_PER_OBJECT_MAX: usize = 256;
/// Failures kept for each identity; the oldest goes first.
pub const FAILURES_PER_IDENTITY_MAX: usize = 50;
/// Values shared among postures, in each part of their pool, below which it is not looked which of them are still in use.
pub const SHARED_VALUES_UNSWEPT_MAX: usize = 256;
/// Most verdicts cached beside one identity; past it the cache starts afresh.
pub const VERDICTS_PER_IDENTITY_MAX: usize = 256;
/// Deepest nesting of a posture expression.
pub const EXPRESSION_DEPTH_MAX: usize = 32;
/// Most leaves in one posture expression.
pub const EXPRESSION_LEAVES_MAX: usize = 1024;
/// Most operators and tokens in one version range.
pub const VERSION_RANGE_BYTES_MAX: usize = 1024;
/// Room for a log line that a thread keeps for the next one.
pub const LOG_LINE_BYTES_KEPT_MAX: usize = 4096;
/// Services with a metric label of their own; later ones share `_other`.
pub const METRIC_SERVICES_MAX: usize = 1000;
/// Checks with a metric label of their own; later ones share `_other`.
pub const METRIC_CHECKS_MAX: usize = 1000;
/// Devices kept in memory after their identity left the policy.
pub const DEPARTED_DEVICES_MAX: usize = 10_000;

/// Connections an API listener serves at once; later ones wait to be accepted.
pub const API_CONNECTIONS_MAX: usize = 1024;
/// Requests one HTTP/2 connection to an API listener may have in flight.
pub const API_STREAMS_PER_CONNECTION_MAX: u32 = 32;
/// Longest TLS handshake with an API listener.
pub const API_HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest wait for the head of a request to an API listener, the pause between two requests over HTTP/1 included.
pub const API_HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// Longest head of a request to an API listener, in bytes.
pub const API_HEAD_BYTES_MAX: u32 = 64 * 1024;
/// Longest wait for the whole body of a request to an API listener.
pub const API_BODY_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest time an API listener works on one request. Longer than the body and the store together may take.
pub const API_REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a connection to an API listener may stay without a request.
pub const API_IDLE_TIME_MAX: Duration = Duration::from_secs(60);
/// How long a connection to an API listener may take to end once it was told to.
pub const API_DRAIN_TIME_MAX: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted, for example because the process has too many files open.
pub const API_ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Posture reports in memory at once, from the first byte to the acknowledgement; further ones wait.
pub const API_REPORTS_MAX: usize = 256;
/// Posture reports of one identity in memory at once; further ones are refused.
pub const API_REPORTS_PER_IDENTITY_MAX: usize = 8;
/// How much of a body that is too large is read and thrown away, in bytes, so that its sender gets to see the reply.
pub const API_DISCARDED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How much of what a handler left of a body is read and thrown away, in bytes.
pub const API_REFUSED_BODY_BYTES_MAX: usize = 64 * 1024;
/// How long such a rest is waited for.
pub const API_REFUSED_BODY_TIME_MAX: Duration = Duration::from_secs(1);
/// When a client may try again after the store could not take its report.
pub const API_STORE_RETRY_AFTER: Duration = Duration::from_secs(5);
/// Longest name with a port that a client may know a listener by, in bytes.
pub const API_HOST_BYTES_MAX: usize = 260;
/// Longest request path shown in a log line, in bytes.
pub const API_LOGGED_PATH_BYTES_MAX: usize = 256;
/// Wrong tokens a source address may send before it is locked out.
pub const API_FREE_GUESSES: u32 = 5;
/// First lock-out of a source address that sent too many wrong tokens; each further one doubles it.
pub const API_LOCK_OUT_FIRST: Duration = Duration::from_secs(1);
/// Longest lock-out of a source address.
pub const API_LOCK_OUT_MAX: Duration = Duration::from_secs(60);
/// A source address that sent no wrong token for this long starts afresh.
pub const API_GUESSES_REMEMBERED: Duration = Duration::from_secs(15 * 60);
/// Source addresses whose wrong tokens are counted; past it the one that has been quiet longest is forgotten.
pub const API_GUESSING_SOURCES_MAX: usize = 4096;
/// Most header fields of one request.
pub const REQUEST_FIELDS_MAX: usize = 128;
/// Longest head of one request (target and header fields), in bytes.
pub const REQUEST_HEAD_BYTES_MAX: usize = 64 * 1024;
/// Longest request target, in bytes.
pub const REQUEST_TARGET_BYTES_MAX: usize = 16 * 1024;
/// Longest request id that is taken over from a client, in bytes.
pub const CLIENT_REQUEST_ID_BYTES_MAX: usize = 128;
/// Most failing checks listed in one refusal.
pub const REFUSAL_CHECKS_MAX: usize = 64;
/// Longest gRPC status message, in bytes before encoding.
pub const GRPC_MESSAGE_BYTES_MAX: usize = 1024;
/// Client connections one gateway listener keeps open; more wait in the system's queue.
pub const GATEWAY_CONNECTIONS_MAX: usize = 65_536;
/// Most client connections that can be configured.
pub const GATEWAY_CONNECTIONS_CEILING: usize = 1_000_000;
/// Client connections of one address, or of one /64 network with IPv6: an office behind one address has room.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 4096;
/// Client connections of one identity.
pub const CONNECTIONS_PER_IDENTITY_MAX: usize = 512;
/// TLS handshakes under way at once; more wait their turn.
pub const HANDSHAKES_MAX: usize = 1024;
/// Longest PROXY header of version 2 after its first 16 bytes, extensions included, in bytes.
pub const PROXY_HEADER_BYTES_MAX: usize = 4096;
/// Longest wait for the first request of a client connection.
pub const CLIENT_HEAD_WAIT_MAX: Duration = Duration::from_secs(30);
/// Longest wait for the next bytes of a request's body.
pub const CLIENT_BODY_WAIT_MAX: Duration = Duration::from_secs(60);
/// Bytes of a request's body that must come in each second, on average, once it has taken longer than [`CLIENT_BODY_WAIT_MAX`].
pub const CLIENT_BODY_RATE_MIN: u64 = 64;
/// Highest such rate that can be configured.
pub const CLIENT_BODY_RATE_CEILING: u64 = 1_000_000_000;
/// Requests the client of one HTTP/2 connection may give up within [`CLIENT_RESETS_WINDOW`] before the connection is closed.
pub const CLIENT_RESETS_MAX: usize = 200;
/// The time in which requests that were given up are counted together.
pub const CLIENT_RESETS_WINDOW: Duration = Duration::from_secs(10);
/// Longest wait for a client to finish its TLS handshake, its turn and its PROXY header included.
pub const HANDSHAKE_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long a listener pauses after an accept failed, so that a shortage does not turn into a busy loop.
pub const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(50);
/// How long an idle client connection is kept for its next request.
pub const CLIENT_IDLE_WAIT_MAX: Duration = Duration::from_secs(75);
/// Longest wait for a client to take the next bytes of a response.
pub const CLIENT_WRITE_WAIT_MAX: Duration = Duration::from_secs(60);
/// How long the body of a refused request is read and thrown away, so that the refusal reaches its sender.
pub const REFUSED_BODY_DRAIN_WAIT_MAX: Duration = Duration::from_secs(2);
/// Requests in progress on one HTTP/2 connection of a client.
pub const CLIENT_STREAMS_MAX: u32 = 128;
/// Requests in progress on one HTTP/2 connection to an upstream.
pub const UPSTREAM_STREAMS_MAX: usize = 128;
/// Idle connections kept to all upstreams together.
pub const UPSTREAM_IDLE_CONNECTIONS_MAX: usize = 1024;
/// Addresses used of one upstream's name.
pub const UPSTREAM_ADDRESSES_MAX: usize = 8;
/// How often an upstream's name is looked up again.
pub const UPSTREAM_RESOLVE_INTERVAL: Duration = Duration::from_secs(30);
/// How soon a failed look-up is tried again.
pub const UPSTREAM_RESOLVE_RETRY: Duration = Duration::from_secs(2);
/// Longest wait for one look-up of an upstream's name.
pub const UPSTREAM_RESOLVE_WAIT_MAX: Duration = Duration::from_secs(5);
/// Shortest time between two health checks of one upstream.
pub const HEALTH_CHECK_INTERVAL_MIN: Duration = Duration::from_millis(10);
/// Slots of a weighted round-robin table; larger sums of weights are scaled down.
pub const ROUND_ROBIN_SLOTS_MAX: usize = 1024;
/// Most attempts to connect for one request, over all upstreams and addresses.
pub const UPSTREAM_ATTEMPTS_MAX: usize = 32;

/// Longest key of a stored record, in bytes.
pub const STORE_KEY_BYTES_MAX: usize = 1024;
/// Longest value of a stored record, in bytes: the posture of one identity, with room to grow.
pub const STORE_VALUE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Room of the store's write queue, in pages of [`STORE_QUEUE_PAGE_BYTES`]; every queued record takes at least one.
pub const STORE_QUEUE_PAGES_MAX: usize = 8192;
/// The unit in which queued records are counted, in bytes.
pub const STORE_QUEUE_PAGE_BYTES: usize = 4096;
/// Largest write of several records as one, and most gathered for one commit, in pages of [`STORE_QUEUE_PAGE_BYTES`].
pub const STORE_WRITE_PAGES_MAX: usize = 4096;
/// Longest wait for room in the store's write queue before the write is refused as busy.
pub const STORE_ROOM_WAIT_MAX: Duration = Duration::from_secs(1);
/// Longest wait for a queued write to be on disk before its caller is told that it is not known to be.
pub const STORE_COMMIT_WAIT_MAX: Duration = Duration::from_secs(10);
/// Longest wait for the store to write out its queue and close.
pub const STORE_CLOSE_WAIT_MAX: Duration = Duration::from_secs(10);
/// Most records gathered for one commit (one larger write is still one commit).
pub const STORE_COMMIT_RECORDS_MAX: usize = 256;
/// Longest time one commit waits for company after the one before it.
pub const STORE_GATHER_WAIT_MAX: Duration = Duration::from_millis(5);
/// Longest time that records nobody waits for are gathered before they are committed.
pub const STORE_UNAWAITED_WAIT_MAX: Duration = Duration::from_millis(50);
/// Facts that the store holds once for all devices that share them; later ones are stored with each device. A device that reports
/// something else each time must not fill the disk.
pub const STORED_FACTS_MAX: u64 = 100_000;
/// Records read from the store in one step.
pub const STORE_SCAN_RECORDS_MAX: usize = 256;
/// Memory the on-disk store may use to cache pages, in bytes.
pub const STORE_CACHE_BYTES: usize = 32 * 1024 * 1024;
/// How many times the duration of an opening to wait, after an error on disk, before opening the store again.
pub const STORE_REOPEN_PAUSE_FACTOR: u32 = 10;
/// Files a data directory may hold that were moved aside at the same millisecond.
pub const STORE_ASIDE_NAMES_MAX: usize = 100;
/// Longest secret that is sealed, in bytes: an API token of any vendor, with room to spare.
pub const SECRET_BYTES_MAX: usize = 16 * 1024;
/// Longest sealed secret that is opened, in bytes of its text: [`SECRET_BYTES_MAX`] with nonce and tag, in base64.
pub const SEALED_BYTES_MAX: usize = (SECRET_BYTES_MAX + 64) * 4 / 3;
/// Most findings one look over a policy reports.
pub const LINT_FINDINGS_MAX: usize = 1000;
/// Most identity selections one look over a policy tries.
pub const LINT_COMPARISONS_MAX: usize = 20_000_000;
/// Most devices one request to a posture provider names (the protocol's own bound).
pub const PROVIDER_DEVICES_PER_CALL_MAX: usize = 1000;
/// Longest a posture provider is waited for, from connecting to the last byte of its answer.
pub const PROVIDER_CALL_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest answer of a posture provider, in bytes: about a kilobyte for each of [`PROVIDER_DEVICES_PER_CALL_MAX`] devices.
pub const PROVIDER_ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Longest id that a posture provider may give a device, in bytes.
pub const PROVIDER_ENTRY_ID_BYTES_MAX: usize = 256;
/// Most characters shown of what a posture provider says about its refusal.
pub const PROVIDER_EXCERPT_CHARS_MAX: usize = 200;
/// Longest address of a posture provider, in bytes.
pub const PROVIDER_URL_BYTES_MAX: usize = 2048;
/// Longest id or secret that is shown to a posture provider in a header, in bytes.
pub const PROVIDER_CREDENTIAL_BYTES_MAX: usize = 4096;
/// How long a connection to a posture provider is kept for the next request.
pub const PROVIDER_IDLE_TIME_MAX: Duration = Duration::from_secs(30);
/// First wait before a posture provider that did not answer is asked again; each further one doubles it.
pub const PROVIDER_RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest wait before a posture provider that did not answer is asked again.
pub const PROVIDER_RETRY_MAX: Duration = Duration::from_secs(60);
/// Largest certificate or key file, in bytes.
pub const CERTIFICATE_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Largest file of an OCSP response, in bytes: it goes to every client that asks for it.
pub const OCSP_FILE_BYTES_MAX: u64 = 16 * 1024;
/// Largest revocation list file, in bytes; large public CAs publish lists of tens of megabytes.
pub const CRL_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most alternative names read from one certificate.
pub const CERTIFICATE_NAMES_MAX: usize = 128;
/// Longest SPIFFE ID, in bytes (the SPIFFE standard's own bound).
pub const SPIFFE_ID_BYTES_MAX: usize = 2048;
/// Most certificates in the chain a client sends.
pub const CLIENT_CHAIN_CERTIFICATES_MAX: usize = 10;
/// Most verified client chains remembered; past it the memory starts afresh.
pub const REMEMBERED_CHAINS_MAX: usize = 4096;
/// Largest client chain that is remembered, in bytes; a larger one is verified each time.
pub const REMEMBERED_CHAIN_BYTES_MAX: usize = 16 * 1024;
/// Longest name of a refused certificate that is logged, in bytes: it comes from a stranger.
pub const LOGGED_NAME_BYTES_MAX: usize = 256;
/// Longest text file a device collector reads, in bytes.
pub const AGENT_FILE_BYTES_MAX: usize = 256 * 1024;
/// Most network interfaces a device collector looks at.
pub const AGENT_INTERFACES_MAX: usize = 4096;
/// Most processes a device collector looks at in one survey.
pub const AGENT_PROCESSES_MAX: usize = 65_536;
/// Largest executable a device collector digests, in bytes.
pub const AGENT_EXECUTABLE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Most executables whose digests are remembered; past it the memory starts afresh.
pub const AGENT_DIGESTS_MAX: usize = 4096;
/// Longest time between two reports of an agent, unless its configuration says otherwise.
pub const AGENT_INTERVAL: Duration = Duration::from_secs(60);
/// Shortest time between two regular reports of an agent, however fresh a check wants its facts.
pub const AGENT_INTERVAL_MIN: Duration = Duration::from_secs(5);
/// How often an agent looks at what it watches.
pub const AGENT_LOOK_INTERVAL: Duration = Duration::from_millis(400);
/// First wait of an agent whose gateway is away, before chance shortens it; each further one doubles it.
pub const AGENT_RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest wait of an agent whose gateway is away.
pub const AGENT_RETRY_MAX: Duration = Duration::from_secs(5 * 60);
/// Reports that changes may ask for at once.
pub const AGENT_CHANGES_AT_ONCE_MAX: u32 = 10;
/// How often changes may ask for one more.
pub const AGENT_CHANGE_ALLOWANCE_EVERY: Duration = Duration::from_secs(5);
/// Longest an agent waits for a connection to its gateway.
pub const AGENT_CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest an agent waits for an answer of its gateway, from connecting to the last byte.
pub const AGENT_CALL_TIME_MAX: Duration = Duration::from_secs(20);
/// Longest answer of its gateway that an agent reads, in bytes.
pub const AGENT_ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most characters an agent shows of what its gateway says about a refusal.
pub const AGENT_EXCERPT_CHARS_MAX: usize = 200;
/// Longest a collector waits for a program of the system.
pub const AGENT_PROGRAM_TIME_MAX: Duration = Duration::from_secs(3);
/// Most login sessions a collector looks at.
pub const AGENT_SESSIONS_MAX: usize = 1024;
/// Most connections the demo's origin serves at once.
pub const ORIGIN_CONNECTIONS_MAX: usize = 1024;
/// Most HTTP/2 streams the demo's origin serves at once on one connection.
pub const ORIGIN_STREAMS_MAX: u32 = 256;
/// Longest the demo's origin waits for a request's headers.
pub const ORIGIN_HEADER_WAIT_MAX: Duration = Duration::from_secs(30);
/// Longest the demo's origin waits for open connections when it stops.
pub const ORIGIN_DRAIN_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long the demo's origin pauses after it failed to accept a connection.
pub const ORIGIN_ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Longest body or WebSocket message the demo's origin holds, in bytes.
pub const ORIGIN_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Most pieces of a slow response of the demo's origin.
pub const ORIGIN_CHUNKS_MAX: u32 = 100_000;
/// Longest pause between two pieces of a slow response of the demo's origin.
pub const ORIGIN_INTERVAL_MAX: Duration = Duration::from_secs(60);
/// Longest configuration file, in bytes.
pub const CONFIG_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Longest policy file, in bytes; more objects go into further files.
pub const POLICY_FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Most policy files read from the policy folder.
pub const POLICY_FILES_MAX: usize = 4096;
/// Most bytes read from all policy files together.
pub const POLICY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Deepest nesting of a YAML document; leaves room for [`EXPRESSION_DEPTH_MAX`], which costs two levels a step.
pub const YAML_DEPTH_MAX: usize = 96;
/// Most values in one YAML document.
pub const YAML_NODES_MAX: usize = 1_000_000;
/// Most values that `*alias` references may repeat in one YAML document.
pub const YAML_ALIAS_EVENTS_MAX: usize = 20_000;
/// Most findings kept from one load; further ones are only counted.
pub const FINDINGS_MAX: usize = 256;
/// Most characters of a refused value shown in a finding.
pub const FINDING_EXCERPT_CHARS_MAX: usize = 80;
/// Longest name or id of an object, in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// Longest remediation text of a check, in bytes.
pub const REMEDIATION_BYTES_MAX: usize = 2048;
/// Longest environment override, in bytes.
pub const OVERRIDE_BYTES_MAX: usize = 64 * 1024;
/// Most worker threads that can be configured.
pub const WORKERS_MAX: u64 = 1024;
/// Longest duration that can be configured, in seconds (a year).
pub const DURATION_SECONDS_MAX: u64 = 366 * 24 * 60 * 60;
/// Changes of watched files that wait for their receiver: one of each kind.
pub const WATCH_QUEUE_MAX: usize = 4;
/// Quiet time after the last event on watched files before their contents are compared.
pub const WATCH_QUIET: Duration = Duration::from_millis(250);
/// Longest wait for quiet.
pub const WATCH_QUIET_WAIT_MAX: Duration = Duration::from_millis(500);
/// Reloads at once, each with a thread of its own; others wait.
pub const RELOADS_AT_ONCE: usize = 4;
/// How long cooperative work goes on before it offers its processor to others: what a request may have to wait for it.
pub const COOPERATIVE_TURN: Duration = Duration::from_micros(200);
/// Time between comparisons that no event asked for.
pub const WATCH_POLL_INTERVAL: Duration = Duration::from_secs(30);
/// Largest watched certificate, key, CA or revocation list, in bytes.
pub const WATCHED_FILE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest beginning of an answer that the health probe looks at, in bytes.
pub const HEALTH_ANSWER_BYTES_MAX: usize = 4096;
/// Listening sockets handed over in one message.
pub const HANDOVER_SOCKETS_MAX: usize = 16;
/// Longest line said during a handover, in bytes: a failure record, which is one stored value.
pub const HANDOVER_LINE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Longest wait for the other process to say its first word.
pub const HANDOVER_WORD_WAIT_MAX: Duration = Duration::from_secs(5);
/// Longest wait for a successor to read and check everything but the store.
pub const HANDOVER_PREPARE_WAIT_MAX: Duration = Duration::from_secs(300);
/// Longest wait for the predecessor to end its interfaces and let go of the store.
pub const HANDOVER_RELEASE_WAIT_MAX: Duration = Duration::from_secs(60);
/// Longest wait for the successor to open the store and serve; past it the predecessor goes on.
pub const HANDOVER_SERVE_WAIT_MAX: Duration = Duration::from_secs(60);
/// Longest a predecessor may have nothing to say: more than any drain takes.
pub const HANDOVER_SILENCE_MAX: Duration = Duration::from_secs(2 * 24 * 60 * 60);
/// Refusals of a process that was taken over from which wait to be passed on; further ones are only counted.
pub const HANDOVER_FAILURES_MAX: usize = 4096;
/// Longest answer of the admin API that an operator's command reads, in bytes.
pub const OPERATOR_ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longest answer the demo reads, in bytes.
pub const DEMO_ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest the demo waits for an edit of the policy to come into force.
pub const DEMO_RELOAD_WAIT_MAX: Duration = Duration::from_secs(30);
/// How often the demo asks in the meantime.
pub const DEMO_RELOAD_POLL: Duration = Duration::from_millis(100);
/// How often an executable is read anew when it changed while its digest was taken.
pub const AGENT_DIGEST_TRIES: usize = 5;
/// Scores of a posture provider that are made durable at the same time.
pub const PROVIDER_WRITES_MAX: usize = 256;
/// Longest body of a request that writes an object, in bytes.
pub const API_WRITE_BYTES_MAX: usize = 1024 * 1024;
/// Changes of objects kept in the audit trail; the oldest goes first.
pub const AUDIT_ENTRIES_MAX: usize = 2000;
/// Longest reason of a lock on an identity, in bytes.
pub const LOCK_REASON_BYTES_MAX: usize = 1024;
/// Longest wait by the machine's timer before the clock is looked at again.
pub const TIMER_TRUSTED_MAX: Duration = Duration::from_secs(10);
/// Largest object shown whole in an audit entry, in bytes of JSON.
pub const AUDIT_OBJECT_BYTES_MAX: usize = 16 * 1024;
/// Most names of what uses an object shown in the refusal to delete it.
pub const IN_USE_NAMES_MAX: usize = 20;
/// How long the same creation again makes nothing new: clients repeat what seemed to fail, without telling that they do.
pub const API_REPLAY_WINDOW: Duration = Duration::from_secs(60);
/// Least cost of a password hash, as memory in KiB with passes over it; one of the pairs must be reached (OWASP's list for
/// argon2id with one lane).
pub const PASSWORD_HASH_COSTS_MIN: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];
/// Most memory one password hash may ask for, in KiB: a login takes as much.
pub const PASSWORD_HASH_MEMORY_KIB_MAX: u32 = 128 * 1024;
/// Most passes over its memory a password hash may ask for.
pub const PASSWORD_HASH_PASSES_MAX: u32 = 10;
/// Most lanes of a password hash.
pub const PASSWORD_HASH_LANES_MAX: u32 = 16;
/// Memory of a password hash made here, in KiB.
pub const PASSWORD_HASH_MEMORY_KIB: u32 = 64 * 1024;
/// Passes of a password hash made here.
pub const PASSWORD_HASH_PASSES: u32 = 3;
/// Shortest salt of a password hash, in bytes.
pub const PASSWORD_SALT_BYTES_MIN: usize = 8;
/// Shortest digest in a password hash, in bytes.
pub const PASSWORD_DIGEST_BYTES_MIN: usize = 16;
/// Shortest password that is hashed, in bytes.
pub const PASSWORD_BYTES_MIN: usize = 8;
/// Longest password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// Longest time a session of the admin API can be configured to last.
pub const ADMIN_SESSION_TIME_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Longest body of a login, in bytes.
pub const API_LOGIN_BYTES_MAX: usize = 16 * 1024;
/// Passwords verified at once; each takes [`PASSWORD_HASH_MEMORY_KIB_MAX`] at most, and a thread.
pub const API_LOGINS_MAX: usize = 2;
/// Logins that wait for their turn; further ones are refused.
pub const API_LOGINS_WAITING_MAX: usize = 32;
/// Longest a login waits for its turn.
pub const API_LOGIN_WAIT_MAX: Duration = Duration::from_secs(10);
/// Sessions of one operator; past it the one that has been quiet longest ends.
pub const API_SESSIONS_PER_OPERATOR_MAX: usize = 64;
/// Wrong passwords for a user name, from all source addresses together, before the name is locked out.
pub const API_FREE_GUESSES_PER_NAME: u32 = 20;
/// User names whose wrong passwords are counted; past it the one that has been quiet longest is forgotten.
pub const API_GUESSED_NAMES_MAX: usize = 4096;
/// Source addresses remembered for a user name because it logged in from there; they are spared the name's lock-out.
pub const API_FAMILIAR_SOURCES_MAX: usize = 16;
/// Notes kept with a config on what of it is left out.
pub const CONFIG_NOTES_MAX: usize = 32;
/// Configs of one service.
pub const CONFIGS_PER_SERVICE_MAX: usize = 32;
/// Configs that one identity is shown in the place of those of services.
pub const CONFIGS_PER_IDENTITY_MAX: usize = 1024;
/// Types of configs that a client may ask to see.
pub const CONFIG_TYPES_WANTED_MAX: usize = 64;
/// Sessions of one identity with the client API; past it the one that has been quiet longest ends.
pub const API_SESSIONS_PER_IDENTITY_MAX: usize = 16;
/// How long such a session lasts without a request.
pub const API_DEVICE_SESSION_IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// Sessions for services of one identity; the oldest goes first.
pub const API_SERVICE_SESSIONS_PER_IDENTITY_MAX: usize = 256;
/// Longest text that a client tells of its software at the login, in bytes.
pub const SDK_TEXT_BYTES_MAX: usize = 255;
/// Certificates of one identity whose MFA pass is remembered; the oldest pass goes first.
pub const MFA_PASSES_PER_IDENTITY_MAX: usize = 8;
/// Longest MFA code that is looked at, in bytes.
pub const MFA_CODE_BYTES_MAX: usize = 64;
/// Wrong MFA codes of an identity before it is locked out.
pub const MFA_FREE_GUESSES: u32 = 5;
/// Longest such lock-out. A code is six digits, so guessing must take years.
pub const MFA_LOCK_OUT_MAX: Duration = Duration::from_secs(15 * 60);
/// Most services on the page where people see how they stand.
pub const ME_SERVICES_MAX: usize = 100;
/// Most facts on it that the device could not tell.
pub const ME_UNKNOWN_MAX: usize = 100;
/// Largest file of objects to import, in bytes.
pub const IMPORT_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Pages of one list that an operator's command asks for.
pub const OPERATOR_PAGES_MAX: usize = 2_000;
/// Requests, streams, TCP connections and client connections under way at once; a further one is refused.
pub const SESSIONS_MAX: usize = 262_144;
/// Live sessions that are decided again before other work gets its turn.
pub const REDECISIONS_AT_A_STRETCH: usize = 256;
/// Sessions that are told to end and not cut yet, beyond which the next ones wait.
pub const ENDINGS_AT_ONCE: usize = 64;
/// Longest such wait: what is no longer allowed does not go on because something else is slow to end.
pub const ENDINGS_WAIT_MAX: Duration = Duration::from_millis(5);
/// Most bytes of a response that are kept back until they are flushed, so that a head and a short body go out together. Longer
/// bodies go out with their head as they come.
pub const GATHERED_BYTES_MAX: usize = 4096;
/// Longest wait for a client to take the last word on something that is no longer allowed.
pub const FAREWELL_WRITE_WAIT_MAX: Duration = Duration::from_secs(1);
/// How long a client's bytes are read and thrown away after the last word, so that it reaches the client.
pub const FAREWELL_LINGER_MAX: Duration = Duration::from_secs(1);
/// How many such bytes, at most.
pub const FAREWELL_LINGER_BYTES_MAX: usize = 1024 * 1024;
/// How long a connection on which nothing is allowed any more may take to end in order.
pub const CONNECTION_FAREWELL_WAIT_MAX: Duration = Duration::from_secs(1);
/// How long a TCP connection may be silent in both directions, where its service does not say.
pub const TCP_IDLE_WAIT_DEFAULT: Duration = Duration::from_secs(60 * 60);
/// Into how many parts the silence of a TCP connection is divided: it is noticed at most one of them too late.
pub const TCP_IDLE_LOOKS: u32 = 8;
/// Bytes of a TCP connection held in each direction.
pub const TCP_BUFFER_BYTES: usize = 16 * 1024;
