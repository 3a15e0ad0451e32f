//! A group's definition as a whole.

use super::{FieldError, HeaderRuleInput, UpstreamPolicy, header_rules, upstreams};
use crate::group::{GroupDefinition, GroupType};

const MAX_NAME_CHARS: usize = 100;
const MAX_DISPLAY_NAME_CHARS: usize = 255;
const MAX_DESCRIPTION_CHARS: usize = 512;
const MAX_MODEL_CHARS: usize = 255;
const MAX_ENDPOINT_CHARS: usize = 255;
/// Bytes of all proxy keys of a group.
const MAX_PROXY_KEYS_BYTES: usize = 40_000;
/// Stands for the test model of an aggregate, which has none.
const NO_MODEL: &str = "-";

/// The definition as it is stored (trimmed, names canonical, an aggregate's unused fields empty), or every rule it
/// breaks, in the order in which people fill in the fields.
///
/// Uniqueness of the name and the members of an aggregate are not visible from here.
pub fn group(entered: GroupDefinition, policy: UpstreamPolicy) -> Result<GroupDefinition, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut group = entered;
    match group_name(&group.name) {
        Ok(name) => group.name = name,
        Err(error) => errors.push(error),
    }
    group.display_name = text(&mut errors, "display_name", &group.display_name, MAX_DISPLAY_NAME_CHARS);
    group.description = text(&mut errors, "description", &group.description, MAX_DESCRIPTION_CHARS);
    group.proxy_keys = group.proxy_keys.trim().to_owned();
    if group.proxy_keys.len() > MAX_PROXY_KEYS_BYTES {
        let message = format!("all proxy keys together have at most {MAX_PROXY_KEYS_BYTES} bytes");
        errors.push(FieldError::new("proxy_keys", "too_long", message));
    }
    if group.proxy_keys.chars().any(char::is_control) {
        errors.push(FieldError::new("proxy_keys", "control_character", "proxy keys hold no control characters"));
    }
    match group.group_type {
        GroupType::Standard => standard(&mut group, policy, &mut errors),
        GroupType::Aggregate => aggregate(&mut group, &mut errors),
    }
    let rules: Vec<HeaderRuleInput> =
        group.header_rules.take().unwrap_or_default().into_iter().map(HeaderRuleInput::from).collect();
    match header_rules(&rules) {
        Ok(rules) => group.header_rules = Some(rules),
        Err(broken) => errors.extend(broken),
    }
    redirects(&group, &mut errors);
    if errors.is_empty() { Ok(group) } else { Err(errors) }
}

/// The trimmed name, the path segment of the proxy URL.
pub fn group_name(entered: &str) -> Result<String, FieldError> {
    let name = entered.trim();
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    if name.is_empty() || name.len() > MAX_NAME_CHARS || !name.bytes().all(allowed) {
        let message = "the name has 1 to 100 characters: a-z, 0-9, `_` and `-`";
        return Err(FieldError::new("name", "group_name", message));
    }
    Ok(name.to_owned())
}

/// The trimmed path of validation calls; empty for the channel's default.
pub fn validation_endpoint(entered: &str) -> Result<String, FieldError> {
    const FIELD: &str = "validation_endpoint";
    let path = entered.trim();
    if path.chars().count() > MAX_ENDPOINT_CHARS {
        return Err(too_long(FIELD, MAX_ENDPOINT_CHARS));
    }
    let usable = path.starts_with('/') && !path.contains("://") && path.bytes().all(|byte| byte.is_ascii_graphic());
    if !path.is_empty() && (!usable || path.contains('#')) {
        let message = "the endpoint is a path that starts with `/`, without scheme, host, spaces and `#`";
        return Err(FieldError::new(FIELD, "validation_endpoint", message));
    }
    Ok(path.to_owned())
}

fn standard(group: &mut GroupDefinition, policy: UpstreamPolicy, errors: &mut Vec<FieldError>) {
    group.test_model = text(errors, "test_model", &group.test_model, MAX_MODEL_CHARS);
    if group.test_model.is_empty() {
        errors.push(FieldError::new("test_model", "test_model_empty", "a test model is needed to validate keys"));
    }
    match upstreams(&group.upstreams, policy) {
        Ok(checked) => group.upstreams = checked,
        Err(broken) => errors.extend(broken),
    }
    match validation_endpoint(&group.validation_endpoint) {
        Ok(path) => group.validation_endpoint = path,
        Err(error) => errors.push(error),
    }
}

fn aggregate(group: &mut GroupDefinition, errors: &mut Vec<FieldError>) {
    group.test_model = NO_MODEL.to_owned();
    group.upstreams.clear();
    group.validation_endpoint.clear();
    if !group.model_redirect_rules.is_empty() {
        let message = "an aggregate group has no redirects of its own; its members carry theirs";
        errors.push(FieldError::new("model_redirect_rules", "redirects_on_aggregate", message));
    }
}

fn redirects(group: &GroupDefinition, errors: &mut Vec<FieldError>) {
    const FIELD: &str = "model_redirect_rules";
    for (source, target) in &group.model_redirect_rules {
        let named = |model: &str| !model.trim().is_empty() && model.chars().count() <= MAX_MODEL_CHARS;
        if !named(source) || !target.as_str().is_some_and(named) {
            let message = format!("both models of a redirect are texts of 1 to {MAX_MODEL_CHARS} characters");
            errors.push(FieldError::new(FIELD, "redirect_model", message));
            return;
        }
    }
}

/// The trimmed text, with its length and its characters checked.
fn text(errors: &mut Vec<FieldError>, field: &'static str, entered: &str, max: usize) -> String {
    let trimmed = entered.trim();
    if trimmed.chars().count() > max {
        errors.push(too_long(field, max));
    }
    if trimmed.contains('\0') {
        errors.push(FieldError::new(field, "control_character", "the text holds a NUL character"));
    }
    trimmed.to_owned()
}

fn too_long(field: &'static str, max: usize) -> FieldError {
    FieldError::new(field, "too_long", format!("at most {max} characters"))
}
