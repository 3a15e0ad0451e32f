//! The body of group create and update.

use gpt_load_schema::{
    channel::Channel,
    group::{GroupDefinition, GroupType, Upstream},
    settings,
    validate::{self, HeaderRuleInput, UpstreamPolicy},
};
use serde_json::{Map, Value};

use super::{
    body::Fields,
    error::{ApiError, ErrorCode, FieldError},
    locale::Text,
    messages, rule_texts,
};

/// Order in which broken rules are told.
const ORDER: [&str; 12] = [
    "name",
    "channel_type",
    "group_type",
    "test_model",
    "upstreams",
    "validation_endpoint",
    "config",
    "header_rules",
    "model_redirect_rules",
    "display_name",
    "description",
    "proxy_keys",
];

/// An upstream as it was sent.
#[derive(Debug)]
struct UpstreamInput {
    url: String,
    weight: i64,
}

/// The fields of a group as they were sent: each of its JSON type, nothing else checked. `None` = absent or `null`.
pub(super) struct GroupInput {
    name: Option<String>,
    display_name: Option<String>,
    description: Option<String>,
    group_type: Option<String>,
    upstreams: Option<Vec<UpstreamInput>>,
    /// `upstreams` was sent as `null`, which is not the same as not sent.
    upstreams_null: bool,
    channel_type: Option<String>,
    sort: Option<i64>,
    test_model: Option<String>,
    validation_endpoint: Option<String>,
    param_overrides: Option<Map<String, Value>>,
    model_redirect_rules: Option<Map<String, Value>>,
    model_redirect_strict: Option<bool>,
    config: Option<Map<String, Value>>,
    header_rules: Option<Vec<HeaderRuleInput>>,
    proxy_keys: Option<String>,
}

impl GroupInput {
    /// Reads the body.
    pub(super) fn decode(mut body: Fields) -> Result<Self, ApiError> {
        Ok(Self {
            name: body.string("name")?,
            display_name: body.string("display_name")?,
            description: body.string("description")?,
            group_type: body.string("group_type")?,
            upstreams_null: body.is_null("upstreams"),
            upstreams: body.objects("upstreams")?.map(upstreams).transpose()?,
            channel_type: body.string("channel_type")?,
            sort: body.integer("sort")?,
            test_model: body.string("test_model")?,
            validation_endpoint: body.string("validation_endpoint")?,
            param_overrides: body.object("param_overrides")?,
            model_redirect_rules: body.object("model_redirect_rules")?.map(redirects).transpose()?,
            model_redirect_strict: body.boolean("model_redirect_strict")?,
            config: body.object("config")?,
            header_rules: body.objects("header_rules")?.map(header_rules).transpose()?,
            proxy_keys: body.string("proxy_keys")?,
        })
    }

    /// The definition of a new group.
    pub(super) fn into_definition(self, policy: UpstreamPolicy) -> Result<GroupDefinition, ApiError> {
        let blank = GroupDefinition {
            name: String::new(),
            display_name: String::new(),
            description: String::new(),
            group_type: GroupType::Standard,
            upstreams: Vec::new(),
            channel: Channel::OpenAi,
            sort: 0,
            test_model: String::new(),
            validation_endpoint: String::new(),
            param_overrides: None,
            model_redirect_rules: Map::new(),
            model_redirect_strict: false,
            config: None,
            header_rules: None,
            proxy_keys: String::new(),
        };
        let mut problems = Vec::new();
        let group_type = self.group_type.as_deref().map_or("", str::trim);
        let group_type = read(group_type_of(group_type), "group_type", &messages::GROUP_TYPE_UNKNOWN, &mut problems);
        let channel = self.channel_type.as_deref().map_or("", str::trim).parse().ok();
        let channel = read(channel, "channel_type", &messages::CHANNEL_UNKNOWN, &mut problems);
        let draft = GroupDefinition {
            group_type: group_type.unwrap_or_default(),
            channel: channel.unwrap_or(Channel::OpenAi),
            ..blank
        };
        self.put_onto(draft, problems, policy)
    }

    /// `group` after an update. `is_member` says that an aggregate group relies on its channel and validation endpoint.
    pub(super) fn applied_to(
        mut self,
        group: &GroupDefinition,
        is_member: bool,
        policy: UpstreamPolicy,
    ) -> Result<GroupDefinition, ApiError> {
        if self.upstreams_null {
            return Err(ApiError::invalid("upstreams", messages::UPSTREAMS_NULL));
        }
        let mut problems = Vec::new();
        let mut draft = group.clone();
        if group.group_type == GroupType::Standard {
            let sent = self.channel_type.as_deref().map(|word| word.trim().parse().ok());
            let channel =
                sent.and_then(|channel| read(channel, "channel_type", &messages::CHANNEL_UNKNOWN, &mut problems));
            draft.channel = channel.unwrap_or(group.channel);
        }
        self.test_model = self.test_model.filter(|model| !model.is_empty());
        let changed = self.put_onto(draft, problems, policy)?;
        let relied_on = [
            ("channel_type", changed.channel != group.channel),
            ("validation_endpoint", changed.validation_endpoint != group.validation_endpoint),
        ];
        match relied_on.into_iter().find(|(_, differs)| is_member && *differs) {
            Some((field, _)) => Err(ApiError::invalid(field, messages::GROUP_RELIED_ON)),
            None => Ok(changed),
        }
    }

    /// Puts what was sent onto `draft` and checks the whole; `problems` are those found so far.
    fn put_onto(
        self,
        mut draft: GroupDefinition,
        mut problems: Vec<FieldError>,
        policy: UpstreamPolicy,
    ) -> Result<GroupDefinition, ApiError> {
        fn put<T>(onto: &mut T, sent: Option<T>) {
            if let Some(sent) = sent {
                *onto = sent;
            }
        }
        put(&mut draft.name, self.name);
        put(&mut draft.display_name, self.display_name);
        put(&mut draft.description, self.description);
        put(&mut draft.sort, self.sort);
        put(&mut draft.test_model, self.test_model);
        put(&mut draft.validation_endpoint, self.validation_endpoint);
        put(&mut draft.model_redirect_rules, self.model_redirect_rules);
        put(&mut draft.model_redirect_strict, self.model_redirect_strict);
        put(&mut draft.proxy_keys, self.proxy_keys);
        draft.param_overrides = self.param_overrides.or(draft.param_overrides);
        let upstreams = self.upstreams.filter(|_| draft.group_type == GroupType::Standard);
        put(&mut draft.upstreams, upstreams.map(|sent| weighted(sent, &mut problems)));
        match self.config.as_ref().map(settings::check_overrides) {
            None => {}
            Some(Ok(config)) => draft.config = Some(config),
            Some(Err(problem)) => problems.push(config_problem(&problem)),
        }
        match self.header_rules.as_deref().map(validate::header_rules) {
            None => {}
            Some(Ok(rules)) => draft.header_rules = Some(rules),
            Some(Err(broken)) => problems.extend(broken.iter().map(rule_texts::field_error)),
        }
        match validate::group(draft, policy) {
            Ok(definition) if problems.is_empty() => return Ok(definition),
            Ok(_) => {}
            Err(broken) => problems.extend(broken.iter().map(rule_texts::field_error)),
        }
        problems.sort_by_key(|problem| rank(&problem.field));
        Err(ApiError::fields(ErrorCode::ValidationFailed, problems))
    }
}

/// Notes a problem when a word said nothing known.
fn read<T>(known: Option<T>, field: &str, rule: &Text, problems: &mut Vec<FieldError>) -> Option<T> {
    if known.is_none() {
        problems.push(FieldError { field: field.to_owned(), text: rule.clone() });
    }
    known
}

/// The group type that a word says; the usual one when there is none.
fn group_type_of(word: &str) -> Option<GroupType> {
    match word {
        "" | "standard" => Some(GroupType::Standard),
        "aggregate" => Some(GroupType::Aggregate),
        _ => None,
    }
}

/// Upstreams with weights that are numbers of their kind; those above its bound are left to the rules.
fn weighted(sent: Vec<UpstreamInput>, problems: &mut Vec<FieldError>) -> Vec<Upstream> {
    let upstream = |(at, UpstreamInput { url, weight }): (usize, UpstreamInput)| {
        let weight = if weight < 0 {
            let field = format!("upstreams[{at}].weight");
            problems.push(FieldError { field, text: messages::WEIGHT_NEGATIVE });
            1
        } else {
            u32::try_from(weight).unwrap_or(u32::MAX)
        };
        Upstream { url, weight }
    };
    sent.into_iter().enumerate().map(upstream).collect()
}

fn config_problem(problem: &settings::Problem) -> FieldError {
    FieldError { field: format!("config.{}", problem.key), text: Text::from(problem) }
}

/// Position of a field, or of the list that it is an element of, in [`ORDER`].
fn rank(field: &str) -> usize {
    let head = field.split(['.', '[']).next().unwrap_or_default();
    ORDER.iter().position(|known| *known == head).unwrap_or(ORDER.len())
}

fn upstreams(elements: Vec<Fields>) -> Result<Vec<UpstreamInput>, ApiError> {
    let upstream = |mut element: Fields| {
        Ok(UpstreamInput {
            url: element.string("url")?.unwrap_or_default(),
            weight: element.integer("weight")?.unwrap_or_default(),
        })
    };
    elements.into_iter().map(upstream).collect()
}

fn header_rules(elements: Vec<Fields>) -> Result<Vec<HeaderRuleInput>, ApiError> {
    let rule = |mut element: Fields| {
        Ok(HeaderRuleInput {
            key: element.string("key")?.unwrap_or_default(),
            value: element.string("value")?.unwrap_or_default(),
            action: element.string("action")?.unwrap_or_default(),
        })
    };
    elements.into_iter().map(rule).collect()
}

fn redirects(rules: Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    match rules.iter().find(|(_, target)| !target.is_string()) {
        Some((model, _)) => Err(ApiError::undecodable(format!("model_redirect_rules.{model}"), "must be a string")),
        None => Ok(rules),
    }
}
