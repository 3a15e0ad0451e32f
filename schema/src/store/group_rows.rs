//! Stored groups and their definitions.

use diesel::{AsChangeset, Insertable, Queryable, Selectable};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{
    StoreError, StoreResult,
    dialect::Cell,
    group_secrets,
    tables::groups,
    text::{fit, fit_chars},
};
use crate::{
    crypto::{Place, Vault},
    group::{Group, GroupDefinition, GroupType, HeaderRule, SubGroup, Upstream},
    ids::GroupId,
    time::Timestamp,
};

/// A row of `groups`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = groups)]
pub(super) struct GroupRow {
    pub(super) id: i64,
    #[diesel(embed)]
    pub(super) definition: DefinitionRow,
    pub(super) last_validated_at: Option<i64>,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
}

/// The columns that a person decides about.
#[derive(AsChangeset, Queryable, Selectable, Insertable)]
#[diesel(table_name = groups, treat_none_as_null = true)]
pub(super) struct DefinitionRow {
    name: String,
    display_name: String,
    proxy_keys: String,
    description: String,
    pub(super) group_type: String,
    upstreams: String,
    validation_endpoint: String,
    channel_type: String,
    sort: i64,
    test_model: String,
    param_overrides: Option<String>,
    config: Option<String>,
    header_rules: Option<String>,
    model_redirect_rules: Option<String>,
    model_redirect_strict: bool,
}

/// A row of `group_sub_groups`: aggregate, member, weight.
pub(super) type MemberRow = (i64, i64, i64);

impl GroupRow {
    pub(super) fn with_members(self, vault: &Vault, members: Vec<MemberRow>) -> StoreResult<Group> {
        self.into_group(vault, members.into_iter().map(sub_group).collect())
    }

    pub(super) fn into_group(self, vault: &Vault, sub_groups: Vec<SubGroup>) -> StoreResult<Group> {
        Ok(Group {
            id: GroupId(self.id),
            definition: self.definition.read(vault, self.id)?,
            sub_groups,
            last_validated_at: self.last_validated_at.map(Timestamp),
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
        })
    }
}

impl DefinitionRow {
    pub(super) fn new(vault: &Vault, id: i64, definition: &GroupDefinition) -> StoreResult<Self> {
        let row = id.to_string();
        let mut seal = |place: Place<'_>, text: &str| Ok(vault.seal(place, text));
        let (mut config, mut rules) = (definition.config.clone(), definition.header_rules.clone());
        let mut upstreams = definition.upstreams.clone();
        group_secrets::config(&row, config.as_mut(), &mut seal)?;
        group_secrets::header_rules(&row, rules.as_deref_mut(), &mut seal)?;
        group_secrets::upstreams(&row, &mut upstreams, &mut seal)?;
        let proxy_keys = Zeroizing::new(fit(definition.proxy_keys.clone(), 40_000));
        Ok(Self {
            name: fit_chars(definition.name.clone(), 255),
            display_name: fit_chars(definition.display_name.clone(), 255),
            proxy_keys: group_secrets::proxy_keys(&row, &proxy_keys, &mut seal)?,
            description: fit_chars(definition.description.clone(), 512),
            group_type: definition.group_type.as_str().to_owned(),
            upstreams: to_json(&upstreams)?,
            validation_endpoint: fit_chars(definition.validation_endpoint.clone(), 255),
            channel_type: definition.channel.as_str().to_owned(),
            sort: definition.sort,
            test_model: fit_chars(definition.test_model.clone(), 255),
            param_overrides: definition.param_overrides.as_ref().map(to_json).transpose()?,
            config: config.as_ref().map(to_json).transpose()?,
            header_rules: rules.as_ref().map(to_json).transpose()?,
            model_redirect_rules: Some(to_json(&definition.model_redirect_rules)?),
            model_redirect_strict: definition.model_redirect_strict,
        })
    }

    fn read(self, vault: &Vault, id: i64) -> StoreResult<GroupDefinition> {
        let row = id.to_string();
        let mut open = |place: Place<'_>, stored: &str| vault.open(place, stored).map(|text| text.expose().to_owned());
        let unreadable = |error: StoreError| match error {
            StoreError::Encryption(text) => StoreError::Encryption(format!("the group `{}`: {text}", self.name)),
            other => other,
        };
        let mut config: Option<Map<String, Value>> = from_optional_json("config", self.config.as_deref())?;
        let mut rules: Option<Vec<HeaderRule>> = from_optional_json("header_rules", self.header_rules.as_deref())?;
        let mut upstreams: Vec<Upstream> = from_json("upstreams", &self.upstreams)?;
        let proxy_keys = group_secrets::proxy_keys(&row, &self.proxy_keys, &mut open).map_err(unreadable)?;
        group_secrets::config(&row, config.as_mut(), &mut open).map_err(unreadable)?;
        group_secrets::header_rules(&row, rules.as_deref_mut(), &mut open).map_err(unreadable)?;
        group_secrets::upstreams(&row, &mut upstreams, &mut open).map_err(unreadable)?;
        Ok(GroupDefinition {
            proxy_keys,
            group_type: match self.group_type.as_str() {
                "aggregate" => GroupType::Aggregate,
                _ => GroupType::Standard,
            },
            upstreams,
            channel: self.channel_type.parse().map_err(|error| StoreError::damaged("channel_type", error))?,
            param_overrides: from_optional_json("param_overrides", self.param_overrides.as_deref())?,
            config,
            header_rules: rules,
            model_redirect_rules: from_optional_json("model_redirect_rules", self.model_redirect_rules.as_deref())?
                .unwrap_or_default(),
            name: self.name,
            display_name: self.display_name,
            description: self.description,
            sort: self.sort,
            test_model: self.test_model,
            validation_endpoint: self.validation_endpoint,
            model_redirect_strict: self.model_redirect_strict,
        })
    }
}

/// The columns of [`cells`].
pub(super) const GROUP_COLUMNS: &[&str] = &[
    "id",
    "name",
    "display_name",
    "proxy_keys",
    "description",
    "group_type",
    "upstreams",
    "validation_endpoint",
    "channel_type",
    "sort",
    "test_model",
    "param_overrides",
    "config",
    "header_rules",
    "model_redirect_rules",
    "model_redirect_strict",
    "last_validated_at",
    "created_at",
    "updated_at",
];

/// What is stored of a group, its members aside.
pub(super) fn cells(vault: &Vault, group: &Group) -> StoreResult<Vec<Cell>> {
    let row = DefinitionRow::new(vault, group.id.0, &group.definition)?;
    Ok(vec![
        group.id.0.into(),
        row.name.into(),
        row.display_name.into(),
        row.proxy_keys.into(),
        row.description.into(),
        row.group_type.into(),
        row.upstreams.into(),
        row.validation_endpoint.into(),
        row.channel_type.into(),
        row.sort.into(),
        row.test_model.into(),
        row.param_overrides.into(),
        row.config.into(),
        row.header_rules.into(),
        row.model_redirect_rules.into(),
        row.model_redirect_strict.into(),
        group.last_validated_at.map(|at| at.0).into(),
        group.created_at.0.into(),
        group.updated_at.0.into(),
    ])
}

pub(super) fn sub_group((_, member, weight): MemberRow) -> SubGroup {
    SubGroup { group_id: GroupId(member), weight: u32::try_from(weight).unwrap_or(0) }
}

fn to_json(value: &impl Serialize) -> StoreResult<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Internal(format!("cannot write JSON: {error}")))
}

fn from_json<T: DeserializeOwned>(column: &str, text: &str) -> StoreResult<T> {
    serde_json::from_str(text).map_err(|error| StoreError::damaged(column, error))
}

/// `None` for SQL null and for JSON `null`.
fn from_optional_json<T: DeserializeOwned>(column: &str, text: Option<&str>) -> StoreResult<Option<T>> {
    text.map_or(Ok(None), |text| from_json(column, text))
}
