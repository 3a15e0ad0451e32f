//! One client request from its admission to its one final log row.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_http::header::HeaderMap;
use gpt_load_actors::{
    pool::{Announced, Asked, KeyLease, Ruling, Verdict},
    runtime::Runtime,
};
use gpt_load_schema::{
    ids::KeyId,
    log::{OutcomeClass, RequestLog, RequestType},
    secret::Secret,
    time::Timestamp,
};
use http::Method;
use uuid::Uuid;

use super::{
    affinity,
    clock::Clock,
    error::ProxyError,
    limit::Permit,
    pick::Pick,
    request::{ClientRequest, Shaped},
    rules::Uses,
    table::Route,
};
use crate::{
    channel::{
        classify,
        error::redact,
        limits,
        resources::{Named, Reading},
        tap::TapReport,
    },
    policy::limits::Client,
    telemetry::{
        access::{self, Access},
        metrics::Ended,
        traces::{AttemptBegin, AttemptEnd, RequestEnd, RequestTrace},
    },
};

/// Status of the log row when the client hung up, as nginx has it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What is known of a request before its first attempt.
pub struct Admitted {
    /// UUIDv7.
    pub request_id: Uuid,
    /// When the request arrived.
    pub arrived: Instant,
    /// Method.
    pub method: Method,
    /// Group named by the client.
    pub entrance: Arc<Route>,
    /// Who sent it.
    pub client: Client,
    /// Path and query as received, without the proxy key.
    pub request_path: String,
    /// `User-Agent`, for groups that log bodies.
    pub user_agent: String,
    /// Its trace, when there is a collector for it.
    pub trace: Option<RequestTrace>,
}

/// One client request. However it ends, also when it is dropped, its key gets one outcome per attempt and the log one
/// final row.
pub struct Exchange {
    admitted: Admitted,
    runtime: Runtime,
    _permit: Permit,
    /// The group that serves; differs from the entrance for aggregates.
    pub used: Arc<Route>,
    /// Model the client asked for.
    pub model: String,
    /// Model asked for upstream, where a redirect names another.
    pub redirected_to: Option<String>,
    /// Whether the client asked for a stream.
    pub is_stream: bool,
    /// Only when the group logs bodies.
    pub request_body: String,
    /// How the answer is read for what belongs to the key's account.
    pub reading: Option<Reading>,
    /// What a person who looks for the reason of a failure should know besides it.
    pub note: Option<&'static str>,
    /// Retries that rules of policies have added.
    pub uses: Uses,
    /// What policies decided about the answer that is committed to, should it turn out as the failure it looked like.
    pub ruling: Option<Ruling>,
    attempt: u32,
    current: Option<Attempt>,
    first_byte_ms: Option<i64>,
    clock: Clock,
    concluded: bool,
}

/// The attempt under way, or the last one when it is over.
struct Attempt {
    lease: Option<KeyLease>,
    key: (KeyId, Secret),
    pick: Option<Pick>,
    base_url: Arc<str>,
    upstream_addr: String,
    /// Status of the upstream's answer, once its head is there.
    status: Option<u16>,
}

/// How a request ended, for its final row.
pub struct Ending {
    /// Upstream's status, or the gateway's own.
    pub status: u16,
    /// What the attempt said, or for a gateway refusal what it comes to.
    pub verdict: Verdict,
    /// Whether the client got a whole answer with a status below 400.
    pub is_success: bool,
    /// What the tap saw.
    pub report: Option<TapReport>,
}

impl Exchange {
    /// Starts the record of an admitted request; boxed, because it moves along with the answer.
    pub fn start(admitted: Admitted, runtime: Runtime, permit: Permit) -> Box<Self> {
        let used = Arc::clone(&admitted.entrance);
        Box::new(Self {
            admitted,
            runtime,
            _permit: permit,
            used,
            model: String::new(),
            redirected_to: None,
            is_stream: false,
            request_body: String::new(),
            reading: None,
            note: None,
            uses: Uses::default(),
            ruling: None,
            attempt: 0,
            current: None,
            first_byte_ms: None,
            clock: Clock::start(),
            concluded: false,
        })
    }

    /// The next attempt is made by this group, with the request as it is shaped there.
    pub fn serves(&mut self, route: &Arc<Route>, shaped: &Shaped<'_>, client: &ClientRequest<'_>) {
        self.used = Arc::clone(route);
        self.model.clone_from(&shaped.model);
        self.redirected_to.clone_from(&shaped.redirected_to);
        self.is_stream = shaped.is_stream;
        if route.settings.enable_request_body_logging && self.request_body.is_empty() {
            self.request_body = client.logged_body();
        }
    }

    /// Id of the request.
    pub const fn request_id(&self) -> Uuid {
        self.admitted.request_id
    }

    /// Attempts made so far.
    pub const fn attempts(&self) -> u32 {
        self.attempt
    }

    /// Model asked for upstream; empty when the request names none.
    pub fn asked_model(&self) -> &str {
        self.redirected_to.as_deref().unwrap_or(&self.model)
    }

    /// When the request arrived.
    pub const fn arrived(&self) -> Instant {
        self.admitted.arrived
    }

    /// Who sent it.
    pub const fn client(&self) -> &Client {
        &self.admitted.client
    }

    /// The group that the client named.
    pub fn entrance(&self) -> &Route {
        &self.admitted.entrance
    }

    /// Successful requests and counted failures of the key in use.
    pub fn key_counters(&self) -> (u64, i64) {
        let lease = self.current.as_ref().and_then(|attempt| attempt.lease.as_ref());
        lease.map(KeyLease::counters).unwrap_or_default()
    }

    /// The first byte of the answer is about to go to the client.
    pub fn first_byte(&mut self) {
        let after = self.admitted.arrived.elapsed();
        self.used.metrics.first_byte(after, self.clock.own_time());
        self.first_byte_ms = Some(millis(after));
    }

    /// The call of the attempt under way is about to be sent.
    pub fn sent(&mut self) {
        self.clock.sent();
    }

    /// The head of the upstream's answer is there.
    pub fn answered(&mut self, status: u16) {
        if let Some(after) = self.clock.since_sent() {
            self.used.metrics.upstream_answered(after);
        }
        if let Some(attempt) = &mut self.current {
            attempt.status = Some(status);
        }
    }

    /// Puts the trace, if there is one, into the headers of a call in place of the client's.
    pub fn propagate(&self, headers: &mut HeaderMap) {
        if let Some(trace) = &self.admitted.trace {
            trace.propagate(headers);
        }
    }

    /// An attempt begins with this key at this upstream; without a `pick` nobody will be asked.
    pub fn begin_attempt(&mut self, lease: KeyLease, pick: Option<Pick>, base_url: Arc<str>, upstream_addr: String) {
        self.attempt += 1;
        let key = (lease.id(), lease.secret().clone());
        if let Some(trace) = &mut self.admitted.trace {
            let definition = &self.used.group.definition;
            trace.attempt_begins(&AttemptBegin {
                request_id: self.admitted.request_id,
                number: self.attempt,
                method: self.admitted.method.as_str(),
                path: &self.admitted.request_path,
                channel: definition.channel,
                group: &definition.name,
                model: self.redirected_to.as_deref().unwrap_or(&self.model),
                key: key.0,
                upstream: &base_url,
            });
        }
        self.current = Some(Attempt { lease: Some(lease), key, pick, base_url, upstream_addr, status: None });
    }

    /// The head of an answer, good or bad, is there: its key hears what it tells of the provider's limits.
    pub fn learn(&self, headers: &HeaderMap) {
        let now = Timestamp::now();
        let announced = limits::announced(headers, now);
        if announced != Announced::default()
            && let Some(lease) = self.current.as_ref().and_then(|attempt| attempt.lease.as_ref())
        {
            lease.learn(&announced, self.asked_model(), now);
        }
    }

    /// The upstream answered well enough to commit to it: its breaker hears so, long before a stream ends.
    pub fn upstream_is_healthy(&mut self) {
        if let Some(pick) = self.current.as_mut().and_then(|attempt| attempt.pick.take()) {
            pick.healthy(Timestamp::now());
        }
    }

    /// The attempt said nothing of the upstream, whatever becomes of its key.
    pub fn upstream_is_untold(&mut self) {
        if let Some(attempt) = &mut self.current {
            attempt.pick = None;
        }
    }

    /// What was learnt belongs to the account of the key of the attempt under way.
    pub fn remember(&self, learnt: Vec<Named>) {
        if let Some(attempt) = &self.current {
            affinity::remember(&self.runtime, &self.used, attempt.key.0, learnt);
        }
    }

    /// The attempt failed and another follows: its key and upstream hear why, the log gets a retry row. Gives back the
    /// verdict as it may be told once the key is forgotten.
    pub fn attempt_failed(&mut self, status: u16, verdict: Verdict) -> Verdict {
        let ending = Ending { status, verdict: self.masked(verdict), is_success: false, report: None };
        let row = self.row(RequestType::Retry, &ending);
        self.runtime.record(row);
        self.clock.answered();
        self.tell_attempt(&ending);
        self.settle(ending.verdict.clone());
        self.current = None;
        ending.verdict
    }

    /// The gateway refuses the request; no attempt is to blame, so the final row has no class.
    pub fn refuse(&mut self, error: &ProxyError) {
        if std::mem::replace(&mut self.concluded, true) {
            return;
        }
        let verdict = Verdict { message: error.to_string(), ..Verdict::new(OutcomeClass::ClientError, error.code()) };
        let ending = Ending { status: error.status().as_u16(), verdict, is_success: false, report: None };
        let row = RequestLog { class: None, ..self.row(RequestType::Final, &ending) };
        self.used.metrics.refused(error.code());
        self.write(row, Some(error.code()));
    }

    /// The request is over.
    pub fn conclude(&mut self, mut ending: Ending) {
        if std::mem::replace(&mut self.concluded, true) {
            return;
        }
        if let Some(report) = &mut ending.report {
            self.remember(std::mem::take(&mut report.learnt));
        }
        let mut ending = Ending { verdict: self.masked(ending.verdict), ..ending };
        if !matches!(ending.verdict.class, OutcomeClass::Success | OutcomeClass::Abandoned) {
            ending.verdict.ruling = ending.verdict.ruling.or(self.ruling.take());
        }
        self.tell_attempt(&ending);
        let error = Some(ending.verdict.class).filter(|class| *class != OutcomeClass::Success);
        self.write(self.row(RequestType::Final, &ending), error.map(OutcomeClass::as_str));
        self.settle(ending.verdict);
    }

    /// Metrics and trace hear of the end of the attempt under way, if there is one.
    fn tell_attempt(&mut self, ending: &Ending) {
        let Some(attempt) = &self.current else { return };
        let (verdict, report) = (&ending.verdict, ending.report.as_ref());
        self.used.metrics.attempted(verdict.class);
        if let Some(trace) = &mut self.admitted.trace {
            trace.attempt_ends(&AttemptEnd {
                class: verdict.class,
                rule: verdict.decided_by(),
                status: attempt.status,
                model: report.and_then(|report| report.model.as_deref()),
                finish_reason: report.and_then(|report| report.finish_reason.as_deref()),
                usage: report.map(|report| report.usage).unwrap_or_default(),
            });
        }
    }

    /// The end of the request, for everyone who keeps or counts it; `error` is what went wrong.
    fn write(&mut self, row: RequestLog, error: Option<&str>) {
        let duration = self.admitted.arrived.elapsed();
        self.used.metrics.ended(&Ended {
            class: row.class,
            status: row.status_code,
            duration,
            model: &row.model,
            usage: row.usage,
        });
        if let Some(trace) = &mut self.admitted.trace {
            trace.ends(&RequestEnd {
                id: row.request_id,
                path: row.request_path.split('?').next().unwrap_or_default(),
                group: &row.group_name,
                attempts: self.attempt,
                class: row.class,
                status: row.status_code,
                error,
            });
        }
        access::log(&Access {
            id: self.admitted.request_id,
            method: self.admitted.method.as_str(),
            path: row.request_path.split('?').next().unwrap_or_default(),
            group: &row.group_name,
            model: &row.model,
            key: &row.key.as_ref().map(|(_, key)| key.masked()).unwrap_or_default(),
            attempts: self.attempt,
            class: row.class,
            status: row.status_code,
            duration,
            usage: row.usage,
        });
        self.runtime.record(row);
    }

    /// Hands the verdict to the key and the upstream of the attempt under way, if there is one.
    fn settle(&mut self, verdict: Verdict) {
        let Some(mut attempt) = self.current.take() else { return };
        let now = Timestamp::now();
        if let Some(pick) = attempt.pick.take() {
            match verdict.class {
                OutcomeClass::UpstreamFault => pick.fault(now),
                OutcomeClass::Abandoned => drop(pick),
                _ => pick.healthy(now),
            }
        } else if verdict.class == OutcomeClass::UpstreamFault {
            Pick::late_fault(&self.used, &attempt.base_url, now);
        }
        if let Some(lease) = attempt.lease.take() {
            let asked = Asked { upstream: &attempt.base_url, model: self.asked_model() };
            lease.settle(verdict, asked, now);
        }
        self.current = Some(attempt);
    }

    fn row(&self, request_type: RequestType, ending: &Ending) -> RequestLog {
        let group = &self.used.group;
        let entrance = &self.admitted.entrance.group;
        let logs_body = self.used.settings.enable_request_body_logging;
        let verdict = &ending.verdict;
        let report = ending.report.as_ref();
        let failed = verdict.class != OutcomeClass::Success;
        RequestLog {
            id: Uuid::now_v7(),
            request_id: self.admitted.request_id,
            attempt: self.attempt,
            timestamp: Timestamp::now(),
            group_id: group.id,
            group_name: group.definition.name.clone(),
            parent: (entrance.id != group.id).then(|| (entrance.id, entrance.definition.name.clone())),
            key: self.current.as_ref().map(|attempt| attempt.key.clone()),
            model: self.model.clone(),
            upstream_model: report.and_then(|report| report.model.clone()).filter(|model| *model != self.model),
            class: Some(verdict.class),
            evidence: failed.then(|| evidence(verdict, self.note)),
            is_success: ending.is_success,
            source_ip: self.admitted.client.ip.to_string(),
            status_code: ending.status,
            request_path: self.redacted(&self.admitted.request_path),
            duration_ms: millis(self.admitted.arrived.elapsed()),
            first_byte_ms: self.first_byte_ms,
            error_message: if failed { verdict.message.clone() } else { String::new() },
            user_agent: if logs_body { self.admitted.user_agent.clone() } else { String::new() },
            request_type,
            upstream_addr: self.current.as_ref().map(|attempt| attempt.upstream_addr.clone()).unwrap_or_default(),
            is_stream: self.is_stream,
            request_body: if logs_body { self.request_body.clone() } else { String::new() },
            usage: report.map(|report| report.usage).unwrap_or_default(),
            finish_reason: report.and_then(|report| report.finish_reason.clone()),
        }
    }

    /// Providers repeat keys in their texts; nothing that is kept may hold one.
    fn masked(&self, verdict: Verdict) -> Verdict {
        if verdict.message.is_empty() {
            return verdict;
        }
        Verdict { message: self.redacted(&verdict.message), ..verdict }
    }

    fn redacted(&self, text: &str) -> String {
        match &self.current {
            Some(attempt) => redact(text, &attempt.key.1),
            None => text.to_owned(),
        }
    }

    /// Nobody saw the request to its end: the client hung up, or the gateway itself failed. Tokens seen so far count.
    pub fn abandon(&mut self, report: Option<TapReport>) {
        if std::thread::panicking() {
            return self.refuse(&ProxyError::Internal);
        }
        self.conclude(Ending {
            status: CLIENT_CLOSED_REQUEST,
            verdict: classify::abandoned(),
            is_success: false,
            report,
        });
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn evidence(verdict: &Verdict, note: Option<&str>) -> String {
    let mut evidence = verdict.decided_by().to_owned();
    for (separator, text) in [(": ", verdict.message.as_str()), ("; ", note.unwrap_or_default())] {
        if !text.is_empty() {
            evidence.push_str(separator);
            evidence.push_str(text);
        }
    }
    evidence
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.abandon(None);
    }
}
