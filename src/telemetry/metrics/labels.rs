//! Label values that come from outside, kept to a bounded number.

use std::collections::HashSet;

use parking_lot::RwLock;

/// Models that have series of their own; all others share one.
pub(super) const MODELS: usize = 100;
/// Longest model name that has series of its own, in bytes.
const MODEL_BYTES: usize = 128;

/// Statuses that gateways and providers answer with; any other stands with its hundred (`4xx`).
const STATUSES: [u16; 30] = [
    200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 415, 422,
    429, 499, 500, 502, 503, 504, 529,
];
const HUNDREDS: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];

/// How many different labels [`status`] has.
pub(super) const STATUS_LABELS: usize = STATUSES.len() + HUNDREDS.len();

/// Position of a status among the labels.
pub(super) fn status_position(status: u16) -> usize {
    STATUSES.binary_search(&status).unwrap_or_else(|_| {
        let hundred = usize::from(status / 100);
        STATUSES.len() + if (1..=5).contains(&hundred) { hundred - 1 } else { HUNDREDS.len() - 1 }
    })
}

/// The label at a position.
pub(super) fn status_label(position: usize) -> String {
    match STATUSES.get(position) {
        Some(status) => status.to_string(),
        None => HUNDREDS.get(position - STATUSES.len()).copied().unwrap_or("other").to_owned(),
    }
}

/// The models of a node that have series of their own: the first ones for which a provider counted tokens, so that names that
/// nobody serves take no place.
#[derive(Default)]
pub(super) struct ModelNames(RwLock<HashSet<Box<str>>>);

impl ModelNames {
    /// Whether `model` may have series of its own; takes a place for it while there is one.
    pub(super) fn admits(&self, model: &str) -> bool {
        if model.is_empty() || model.len() > MODEL_BYTES || model.chars().any(char::is_control) {
            return false;
        }
        {
            let known = self.0.read();
            if known.contains(model) || known.len() >= MODELS {
                return known.contains(model);
            }
        }
        let mut known = self.0.write();
        if known.len() < MODELS {
            known.insert(model.into());
        }
        known.contains(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_one_of_a_few_labels() {
        let of = |status| status_label(status_position(status));
        for (status, label) in [
            (200, "200"),
            (499, "499"),
            (529, "529"),
            (299, "2xx"),
            (418, "4xx"),
            (599, "5xx"),
            (101, "1xx"),
            (0, "other"),
            (999, "other"),
        ] {
            assert_eq!(of(status), label);
        }
        let labels: HashSet<String> = (0..=u16::MAX).map(of).collect();
        // 101 to 199, for one, share a label.
        assert_eq!(labels.len(), STATUS_LABELS);
    }

    #[test]
    fn only_the_first_models_have_a_place_and_keep_it() {
        let names = ModelNames::default();
        let long = "m".repeat(MODEL_BYTES + 1);
        for unfit in ["", "a\nb", long.as_str()] {
            assert!(!names.admits(unfit), "{unfit:?}");
        }
        for number in 0..MODELS {
            assert!(names.admits(&format!("model-{number}")));
        }
        assert!(!names.admits("one-too-many"));
        assert!(names.admits("model-0") && names.admits("model-99"));
    }
}
