//! The management API.
//!
//! `groups`, `policies`, `keys`, `key_detail`, `key_export`, `key_tests`, `pool`, `validation`, `tasks`, `settings`,
//! `health`, `metrics`, `login` and `legacy` hold the handlers; `logs`, `log_export`, `dashboard*` and `group_stats`
//! show what was, `events` what happens, `sub_groups`, `copy` and `key_notes` change a little, `integration` answers holders of proxy keys.
//! `cluster` lists the nodes, `forward` asks the leader. `tokens` and `audit` are about who may do what, and who did. `endpoint`, [`auth`] and `caller` stand before them; `body` and `query` read requests; [`envelope`] and [`error`] shape answers; [`locale`] and
//! `messages` hold what people read. [`openapi`] describes all of it.

mod audit;
pub mod auth;
mod body;
mod caller;
mod cluster;
mod copy;
mod dashboard;
mod dashboard_chart;
mod dashboard_outcomes;
mod encryption;
mod endpoint;
pub mod envelope;
pub mod error;
mod events;
mod failure_notes;
mod forward;
mod group_input;
mod group_object;
mod group_stats;
mod groups;
mod guard_view;
pub mod headers;
mod health;
mod integration;
mod key_change;
mod key_detail;
mod key_export;
mod key_input;
mod key_notes;
mod key_object;
mod key_request;
mod key_tasks;
mod key_tests;
mod keys;
mod legacy;
pub mod locale;
mod log_export;
mod log_object;
mod login;
mod logs;
mod messages;
mod metrics;
pub mod openapi;
mod policies;
mod policies_dry_run;
mod policies_input;
mod pool;
mod query;
mod reorder;
mod rule_texts;
mod secret_strength;
mod settings;
mod state;
mod sub_groups;
mod tasks;
pub mod throttle;
mod tokens;
mod validation;
mod windows;

#[cfg(test)]
mod tests;

use actix_web::web;

use self::{endpoint::Endpoint, error::ApiError};
pub use self::{
    forward::{Forwarder, Peers},
    headers::security_headers,
    integration::is_group_form,
    metrics::{MetricsAccess, MetricsPage},
    state::{AdminState, AppFacts, RequestLimit, UpstreamStates},
};

/// Adds the routes of the management API, of `/health` and of the one-file set-up.
///
/// The application must hold `web::Data<AdminState>`.
pub fn configure(config: &mut web::ServiceConfig) {
    config
        .service(Endpoint::at("/health").get(health::health).open())
        .service(Endpoint::at("/health/live").get(health::live).open())
        .service(Endpoint::at("/health/ready").get(health::ready).open())
        .service(Endpoint::at("/metrics").get(metrics::show).open())
        .service(Endpoint::at("/stats").get(legacy::stats).guarded())
        .service(Endpoint::at("/blacklist").get(legacy::blacklist).guarded())
        .service(Endpoint::at("/reset-keys").get(legacy::reset_keys).led().admin())
        .service(Endpoint::at(integration::GROUP_PATH).any(integration::of_group).open())
        .service(
            web::scope("/api")
                .service(Endpoint::at("/openapi.json").get(openapi::show).guarded())
                .service(Endpoint::at("/auth/login").post(login::login).open())
                .service(Endpoint::at("/auth/me").get(login::me).guarded())
                .service(Endpoint::at("/tokens").get(tokens::all).post(tokens::create).admin())
                .service(
                    Endpoint::at("/tokens/{id}").get(tokens::one).patch(tokens::change).delete(tokens::delete).admin(),
                )
                .service(Endpoint::at("/audit").get(audit::page).guarded())
                .service(Endpoint::at("/cluster").get(cluster::show).guarded())
                .service(Endpoint::at("/channel-types").get(groups::channel_types).guarded())
                .service(Endpoint::at("/groups").get(groups::all).post(groups::create).guarded())
                .service(Endpoint::at("/groups/list").get(groups::names).guarded())
                .service(Endpoint::at("/groups/config-options").get(settings::group_options).guarded())
                .service(Endpoint::at("/groups/reorder").put(reorder::reorder).guarded())
                .service(Endpoint::at("/groups/{id}").put(groups::update).delete(groups::delete).guarded())
                .service(Endpoint::at("/groups/{id}/policies").get(policies::of_group).put(policies::attach).guarded())
                .service(Endpoint::at("/policies").get(policies::all).post(policies::create).guarded())
                .service(Endpoint::at("/policies/evaluate").post(policies_dry_run::evaluate).readable())
                .service(
                    Endpoint::at("/policies/{id}")
                        .get(policies::one)
                        .put(policies::update)
                        .delete(policies::delete)
                        .guarded(),
                )
                .service(Endpoint::at("/groups/{id}/pool").get(pool::show).guarded())
                .service(Endpoint::at("/groups/{id}/pool/accept").post(pool::accept).guarded())
                .service(Endpoint::at("/keys").get(keys::page).guarded())
                .service(Endpoint::at("/keys/export").get(key_export::export).admin())
                .service(Endpoint::at("/keys/add-multiple").post(keys::add).guarded())
                .service(Endpoint::at("/keys/add-async").post(key_tasks::add).guarded())
                .service(Endpoint::at("/keys/delete-async").post(key_tasks::delete).guarded())
                .service(Endpoint::at("/keys/delete-multiple").post(keys::delete).guarded())
                .service(Endpoint::at("/keys/restore-multiple").post(keys::restore).guarded())
                .service(Endpoint::at("/keys/restore-all-invalid").post(keys::restore_all_invalid).guarded())
                .service(Endpoint::at("/keys/clear-all-invalid").post(keys::clear_all_invalid).guarded())
                .service(Endpoint::at("/keys/clear-all").post(keys::clear_all).guarded())
                .service(Endpoint::at("/keys/test-multiple").post(key_tests::test).guarded())
                .service(Endpoint::at("/keys/validate-group").post(validation::group).guarded())
                .service(Endpoint::at("/tasks/status").get(tasks::status).led().guarded())
                .service(Endpoint::at("/tasks/cancel").post(tasks::cancel).guarded())
                .service(Endpoint::at("/validation/groups").post(validation::increment_all).guarded())
                .service(Endpoint::at("/validation/groups/{id}").post(validation::increment).guarded())
                .service(Endpoint::at("/validation/groups/{id}/history").get(validation::history).guarded())
                .service(Endpoint::at("/keys/{id}").get(key_detail::show).patch(key_change::change).guarded())
                .service(Endpoint::at("/settings").get(settings::all).put(settings::save).guarded())
                .service(Endpoint::at("/groups/{id}/stats").get(group_stats::show).guarded())
                .service(Endpoint::at("/groups/{id}/copy").post(copy::copy).guarded())
                .service(Endpoint::at("/groups/{id}/sub-groups").get(sub_groups::all).post(sub_groups::add).guarded())
                .service(Endpoint::at("/groups/{id}/sub-groups/{sub_id}").delete(sub_groups::remove).guarded())
                .service(Endpoint::at("/groups/{id}/sub-groups/{sub_id}/weight").put(sub_groups::weigh).guarded())
                .service(Endpoint::at("/groups/{id}/parent-aggregate-groups").get(sub_groups::parents).guarded())
                .service(Endpoint::at("/keys/{id}/notes").put(key_notes::save).guarded())
                .service(Endpoint::at("/dashboard/stats").get(dashboard::stats).guarded())
                .service(Endpoint::at("/dashboard/chart").get(dashboard_chart::chart).guarded())
                .service(Endpoint::at("/dashboard/errors").get(dashboard_outcomes::errors).guarded())
                .service(Endpoint::at("/dashboard/tokens").get(dashboard_outcomes::tokens).guarded())
                .service(Endpoint::at("/dashboard/encryption-status").get(dashboard::encryption_status).guarded())
                .service(Endpoint::at("/encryption").get(encryption::show).led().guarded())
                .service(Endpoint::at("/encryption/rotate").post(encryption::rotate).guarded())
                .service(Endpoint::at("/events").get(events::events).guarded())
                .service(Endpoint::at("/logs").get(logs::page).guarded())
                .service(Endpoint::at("/logs/export").get(log_export::export).admin())
                .service(Endpoint::at("/logs/{request_id}/attempts").get(logs::attempts).guarded())
                .service(Endpoint::at("/integration/info").get(integration::of_all).open())
                .default_service(web::to(unknown_path)),
        );
}

async fn unknown_path() -> Result<&'static str, ApiError> {
    Err(ApiError::unknown_path())
}
