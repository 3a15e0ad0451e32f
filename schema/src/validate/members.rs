//! The members of an aggregate group.

use std::collections::BTreeSet;

use super::FieldError;
use crate::group::{Group, GroupType, SubGroup};

const MAX_WEIGHT: u32 = 1_000;

/// Checks the members that `aggregate` is to have, among all `groups`; every error names its member.
///
/// Members are standard groups of the aggregate's channel: an aggregate inside an aggregate would have no keys to serve
/// with. That the members' validation endpoints agree is not looked at.
pub fn sub_groups(aggregate: &Group, members: &[SubGroup], groups: &[Group]) -> Result<(), Vec<FieldError>> {
    if aggregate.definition.group_type != GroupType::Aggregate {
        let message = "only an aggregate group has sub-groups";
        return Err(vec![FieldError::new("sub_groups", "members_of_standard", message)]);
    }
    let (mut errors, mut seen) = (Vec::new(), BTreeSet::new());
    for (index, member) in members.iter().enumerate() {
        let found = groups.iter().find(|group| group.id == member.group_id).map(|group| &group.definition);
        let problem = match found {
            None => Some(("member_unknown", "there is no such group")),
            Some(group) if group.group_type == GroupType::Aggregate => {
                Some(("member_aggregate", "an aggregate group cannot be inside an aggregate group"))
            }
            Some(group) if group.channel != aggregate.definition.channel => {
                Some(("member_channel", "a sub-group has the channel of its aggregate group"))
            }
            Some(_) if !seen.insert(member.group_id) => Some(("member_twice", "the group is given twice")),
            Some(_) => None,
        };
        let field = |part: &str| format!("sub_groups[{index}].{part}");
        errors.extend(problem.map(|(code, message)| FieldError::new(field("group_id"), code, message)));
        if member.weight > MAX_WEIGHT {
            let message = format!("the weight is at most {MAX_WEIGHT}");
            errors.push(FieldError::new(field("weight"), "member_weight", message));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::{channel::Channel, group::GroupDefinition, ids::GroupId, time::Timestamp};

    fn group(id: i64, group_type: GroupType, channel: Channel) -> Group {
        Group {
            id: GroupId(id),
            definition: GroupDefinition {
                name: format!("g{id}"),
                display_name: String::new(),
                description: String::new(),
                group_type,
                upstreams: Vec::new(),
                channel,
                sort: 0,
                test_model: String::new(),
                validation_endpoint: String::new(),
                param_overrides: None,
                model_redirect_rules: Map::new(),
                model_redirect_strict: false,
                config: None,
                header_rules: None,
                proxy_keys: String::new(),
            },
            sub_groups: Vec::new(),
            last_validated_at: None,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    #[test]
    fn members_are_standard_groups_of_the_same_channel() {
        use GroupType::{Aggregate, Standard};
        let groups = [
            group(1, Aggregate, Channel::OpenAi),
            group(2, Standard, Channel::OpenAi),
            group(3, Standard, Channel::Gemini),
            group(4, Aggregate, Channel::OpenAi),
        ];
        let wrong = |aggregate: usize, members: &[(i64, u32)]| -> Vec<(String, &'static str)> {
            let members: Vec<_> =
                members.iter().map(|&(id, weight)| SubGroup { group_id: GroupId(id), weight }).collect();
            let errors = sub_groups(&groups[aggregate], &members, &groups).err().unwrap_or_default();
            errors.into_iter().map(|error| (error.field, error.code)).collect()
        };
        let named = |field: &str, code| vec![(field.to_owned(), code)];
        assert_eq!(wrong(0, &[(2, 1)]), []);
        assert_eq!(wrong(0, &[]), []);
        assert_eq!(wrong(0, &[(2, 1), (4, 1)]), named("sub_groups[1].group_id", "member_aggregate"));
        assert_eq!(wrong(0, &[(1, 1)]), named("sub_groups[0].group_id", "member_aggregate"));
        assert_eq!(wrong(0, &[(3, 1)]), named("sub_groups[0].group_id", "member_channel"));
        assert_eq!(wrong(0, &[(9, 1)]), named("sub_groups[0].group_id", "member_unknown"));
        assert_eq!(wrong(0, &[(2, 1), (2, 1)]), named("sub_groups[1].group_id", "member_twice"));
        assert_eq!(wrong(0, &[(2, 1_001)]), named("sub_groups[0].weight", "member_weight"));
        assert_eq!(wrong(1, &[(2, 1)]), named("sub_groups", "members_of_standard"));
    }
}
