//! Rows as an older program stored them: texts and whole numbers, nothing believed yet.
//!
//! A column that a generation did not have reads as absent. Texts that are not UTF-8 (the old programs stored whatever
//! bytes a client sent) read with replacement characters.

use diesel::deserialize::FromSql;

/// How a column is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// As text, whatever is stored.
    Text,
    /// As a whole number; what is none reads as 0.
    Int,
}

/// A row of an older program.
pub(crate) trait LegacyRow: Sized {
    /// The table.
    const TABLE: &'static str;
    /// Every column that any generation had and that is of use.
    const COLUMNS: &'static [(&'static str, Read)];

    /// The times of the row.
    fn times(&mut self) -> Vec<&mut Option<String>>;
}

macro_rules! legacy_rows {
    ($($(#[$doc:meta])* $name:ident from $table:literal {
        int: $($int:ident),*; text: $($text:ident),*; time: $($time:ident),*;
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default)]
        #[allow(missing_docs, reason = "the columns are those of management-api.md 7.1")]
        pub(crate) struct $name {
            $(pub(crate) $int: Option<i64>,)*
            $(pub(crate) $text: Option<String>,)*
            $(pub(crate) $time: Option<String>,)*
        }

        impl LegacyRow for $name {
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [(&'static str, Read)] =
                &[$((stringify!($int), Read::Int),)* $((stringify!($text), Read::Text),)* $((stringify!($time), Read::Text),)*];

            fn times(&mut self) -> Vec<&mut Option<String>> {
                vec![$(&mut self.$time),*]
            }
        }

        impl<DB> diesel::QueryableByName<DB> for $name
        where
            DB: diesel::backend::Backend,
            Option<i64>: FromSql<Int, DB>,
            Option<Vec<u8>>: FromSql<Bytes, DB>,
        {
            fn build<'a>(row: &impl diesel::row::NamedRow<'a, DB>) -> diesel::deserialize::Result<Self> {
                Ok(Self {
                    $($int: diesel::row::NamedRow::get::<Int, _>(row, stringify!($int))?,)*
                    $($text: diesel::row::NamedRow::get::<Bytes, Option<Vec<u8>>>(row, stringify!($text))?.map(lossy),)*
                    $($time: diesel::row::NamedRow::get::<Bytes, Option<Vec<u8>>>(row, stringify!($time))?.map(lossy),)*
                })
            }
        }
    )*};
}

type Int = diesel::sql_types::Nullable<diesel::sql_types::BigInt>;
type Bytes = diesel::sql_types::Nullable<diesel::sql_types::Binary>;

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

legacy_rows! {
    /// A setting.
    LegacySetting from "system_settings" { int: ; text: setting_key, setting_value; time: ; }

    /// A group.
    LegacyGroup from "groups" {
        int: id, sort;
        text: name, display_name, proxy_keys, description, group_type, upstreams, validation_endpoint, channel_type,
            test_model, param_overrides, config, header_rules, model_redirect_rules, model_redirect_strict;
        time: last_validated_at, created_at, updated_at;
    }

    /// A member of an aggregate.
    LegacyMember from "group_sub_groups" { int: group_id, sub_group_id, weight; text: ; time: ; }

    /// A provider key.
    LegacyKey from "api_keys" {
        int: id, group_id, request_count, failure_count, consecutive_failures, backoff_level;
        text: key_value, key_hash, status, notes, last_error_message;
        time: last_used_at, created_at, updated_at, last_failure_at, last_success_at, last_validated_at, disabled_until;
    }

    /// A row of the request log.
    LegacyLog from "request_logs" {
        int: position, group_id, parent_group_id, status_code, duration;
        text: id, group_name, parent_group_name, key_value, key_hash, model, is_success, source_ip, request_path,
            error_message, user_agent, request_type, upstream_addr, is_stream, request_body;
        time: timestamp;
    }

    /// Requests of a group within an hour. `position` orders rows by the time they were stored.
    LegacyHour from "group_hourly_stats" { int: position, group_id, success_count, failure_count; text: ; time: time; }
}

/// Whether a stored truth value is true, in the words of every database.
pub(crate) fn is_true(text: Option<&str>) -> bool {
    text.is_some_and(|text| matches!(text.trim().to_ascii_lowercase().as_str(), "1" | "true" | "t"))
}
