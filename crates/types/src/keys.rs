//! Where records are in the metadata store. What the front end follows begins with [`FOLLOWED`]; all that belongs to one
//! function lies below [`parts_of`] it, so that it can be removed in one commit.

use crate::digest::CodeDigest;
use crate::function::VersionId;

/// The prefix of everything that invokes depend on.
pub const FOLLOWED: &str = "function";
/// Functions: `function/NAME`.
pub const FUNCTIONS: &str = "function/";
const PARTS: &str = "function-part/";
/// The prefix of everything that permissions depend on.
pub const IDENTITIES: &str = "identity/";
/// Roles: `identity/role/NAME`, names in lower case.
pub const ROLES: &str = "identity/role/";
/// Names of roles that were deleted: `identity/former-role/NAME`, names in lower case.
pub const FORMER_ROLES: &str = "identity/former-role/";
/// Customer managed policies: `identity/policy/NAME`, names in lower case.
pub const POLICIES: &str = "identity/policy/";
/// Access keys: `identity/access-key/ID`.
pub const ACCESS_KEYS: &str = "identity/access-key/";

/// Written with every reservation of concurrency.
pub const RESERVATIONS: &str = "reservations";
/// Layers: `layer/NAME`, kept when the layer has no version any more.
pub const LAYERS: &str = "layer/";
/// Versions of all layers.
pub const LAYER_VERSIONS: &str = "layer-version/";

/// Event source mappings: `mapping/UUID`.
pub const MAPPINGS: &str = "mapping/";

/// What was in use lately, for the next start of the server: `LatelyRecord`.
pub const LATELY: &str = "lately";

/// What functions used: `usage/MONTH/NAME`.
pub const USAGE: &str = "usage/";

/// The record of what a function used in a month, such as `2026-11`; of all of the month where the name is empty.
#[must_use]
pub fn usage(month: &str, function: &str) -> String {
    format!("{USAGE}{month}/{function}")
}

/// Code signing configurations: `code-signing/ID`.
pub const CODE_SIGNING: &str = "code-signing/";

/// The record of a code signing configuration.
#[must_use]
pub fn code_signing(id: &str) -> String {
    format!("{CODE_SIGNING}{id}")
}

/// The record of an event source mapping.
#[must_use]
pub fn mapping(uuid: &str) -> String {
    format!("{MAPPINGS}{uuid}")
}

/// The prefix of what whoever polls for a mapping keeps: `mapping-part/UUID/`. It goes with the mapping.
#[must_use]
pub fn parts_of_mapping(uuid: &str) -> String {
    format!("mapping-part/{uuid}/")
}

/// The record of what came of the last look at a mapping's source: `Progress`.
#[must_use]
pub fn mapping_progress(uuid: &str) -> String {
    format!("{}progress", parts_of_mapping(uuid))
}

/// What says which mapping leads from a source to a function: its UUID.
#[must_use]
pub fn mapping_claim(function: &str, qualifier: &str, source: &str) -> String {
    let source = CodeDigest::of(source.as_bytes());
    format!("mapping-claim/{function}/{qualifier}/{source}")
}

/// The record of a function.
#[must_use]
pub fn function(name: &str) -> String {
    format!("{FUNCTIONS}{name}")
}

/// The prefix of what belongs to a function besides its own record: `function-part/NAME/`.
#[must_use]
pub fn parts_of(name: &str) -> String {
    format!("{PARTS}{name}/")
}

/// The record of a role: `RoleRecord`. Two names that differ only in case are one.
#[must_use]
pub fn role(name: &str) -> String {
    format!("{ROLES}{}", name.to_ascii_lowercase())
}

/// Where a role was deleted and none of its name made since: `FormerRoleRecord`.
#[must_use]
pub fn former_role(name: &str) -> String {
    format!("{FORMER_ROLES}{}", name.to_ascii_lowercase())
}

/// The record of a customer managed policy: `PolicyRecord`. Two names that differ only in case are one.
#[must_use]
pub fn policy(name: &str) -> String {
    format!("{POLICIES}{}", name.to_ascii_lowercase())
}

/// The record of an access key: `AccessKeyRecord`.
#[must_use]
pub fn access_key(id: &str) -> String {
    format!("{ACCESS_KEYS}{id}")
}

/// Event buses: `event-bus/NAME`; the default one may be without a record.
#[must_use]
pub fn event_bus(name: &str) -> String {
    format!("event-bus/{name}")
}

/// The prefix of a bus's rules. No name has a slash.
#[must_use]
pub fn rules_of(bus: &str) -> String {
    format!("rule/{bus}/")
}

/// The record of a rule, with its targets.
#[must_use]
pub fn rule(bus: &str, name: &str) -> String {
    format!("{}{name}", rules_of(bus))
}

/// Until when a rule's times have been seen to.
#[must_use]
pub fn rule_time(bus: &str, name: &str) -> String {
    format!("rule-time/{bus}/{name}")
}

/// Groups of schedules: `schedule-group/NAME`; the default one may be without a record.
pub const SCHEDULE_GROUPS: &str = "schedule-group/";

/// The record of a group of schedules.
#[must_use]
pub fn schedule_group(name: &str) -> String {
    format!("{SCHEDULE_GROUPS}{name}")
}

/// What can be scaled at times: `scalable-target/RESOURCE`.
pub const SCALABLE_TARGETS: &str = "scalable-target/";

/// The record of a scalable target.
#[must_use]
pub fn scalable_target(resource: &str) -> String {
    format!("{SCALABLE_TARGETS}{resource}")
}

/// Scheduled actions: `scheduled-action/RESOURCE/NAME`.
pub const SCHEDULED_ACTIONS: &str = "scheduled-action/";

/// The prefix of a target's scheduled actions. No resource that can be scaled has a slash, nor has a name.
#[must_use]
pub fn scheduled_actions_of(resource: &str) -> String {
    format!("{SCHEDULED_ACTIONS}{resource}/")
}

/// The record of a scheduled action.
#[must_use]
pub fn scheduled_action(resource: &str, name: &str) -> String {
    format!("{}{name}", scheduled_actions_of(resource))
}

/// Schedules: `schedule/GROUP/NAME`.
pub const SCHEDULES: &str = "schedule/";

/// The prefix of a group's schedules. No name has a slash.
#[must_use]
pub fn schedules_of(group: &str) -> String {
    format!("{SCHEDULES}{group}/")
}

/// The record of a schedule.
#[must_use]
pub fn schedule(group: &str, name: &str) -> String {
    format!("{}{name}", schedules_of(group))
}

/// Until when a schedule's times have been seen to.
#[must_use]
pub fn schedule_time(group: &str, name: &str) -> String {
    format!("schedule-time/{group}/{name}")
}

/// Parameters: `parameter/NAME`, with the slash that a name may begin with.
pub const PARAMETERS: &str = "parameter/";

/// The record of a parameter, with its latest version.
#[must_use]
pub fn parameter(name: &str) -> String {
    format!("{PARAMETERS}{name}")
}

/// The prefix of a parameter's earlier versions. No name has a colon.
#[must_use]
pub fn versions_of_parameter(name: &str) -> String {
    format!("parameter-version/{name}:")
}

/// The record of an earlier version of a parameter.
#[must_use]
pub fn parameter_version(name: &str, number: u64) -> String {
    format!("{}{number:020}", versions_of_parameter(name))
}

/// Kinds of records that belong to a function. Each is a folder below [`parts_of`] it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Part {
    /// Published versions, by number: `VersionRecord`.
    Version,
    /// Aliases, by name: `AliasRecord`.
    Alias,
    /// Resource policies, by qualifier.
    Policy,
    /// Settings of asynchronous invokes, by qualifier.
    EventInvokeConfig,
    /// Function URLs, by qualifier.
    Url,
    /// Provisioned concurrency, by qualifier.
    ProvisionedConcurrency,
}

impl Part {
    const ALL: [(Self, &str); 6] = [
        (Self::Version, "version"),
        (Self::Alias, "alias"),
        (Self::Policy, "policy"),
        (Self::EventInvokeConfig, "event-invoke-config"),
        (Self::Url, "url"),
        (Self::ProvisionedConcurrency, "provisioned-concurrency"),
    ];

    fn folder(self) -> &'static str {
        Self::ALL.iter().find(|(part, _)| *part == self).map_or("", |(_, folder)| folder)
    }

    /// The prefix of all records of this kind of a function.
    #[must_use]
    pub fn prefix(self, function: &str) -> String {
        format!("{PARTS}{function}/{}/", self.folder())
    }

    /// The key of the record that has this name: an alias, or a qualifier as text.
    #[must_use]
    pub fn key(self, function: &str, name: &str) -> String {
        format!("{}{name}", self.prefix(function))
    }
}

/// The record of a published version. Numbers have 20 digits, so that keys are in the numbers' order.
#[must_use]
pub fn version(function: &str, number: u64) -> String {
    Part::Version.key(function, &format!("{number:020}"))
}

/// The record of a layer as a whole.
#[must_use]
pub fn layer(name: &str) -> String {
    format!("{LAYERS}{name}")
}

/// The prefix of a layer's versions.
#[must_use]
pub fn versions_of_layer(name: &str) -> String {
    format!("{LAYER_VERSIONS}{name}/")
}

/// The record of a layer's version. Its digits are counted down, so that the newest comes first, as in lists.
#[must_use]
pub fn layer_version(name: &str, number: u64) -> String {
    format!("{}{:020}", versions_of_layer(name), u64::MAX - number)
}

/// What belongs to one version or alias of a function and goes with it: its policy, ... Versions have no URL, and that of
/// an alias stays: it may be called no more, for the policy is gone (observed).
pub fn parts_of_qualifier(function: &str, qualifier: &str) -> impl Iterator<Item = String> {
    let own = |part: &Part| !matches!(part, Part::Version | Part::Alias | Part::Url);
    Part::ALL.into_iter().map(|(part, _)| part).filter(own).map(move |part| part.key(function, qualifier))
}

/// What a key that begins with [`FOLLOWED`] names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Followed<'a> {
    /// A function's own record.
    Function(&'a str),
    /// A published version: function, number.
    Version(&'a str, u64),
    /// Any other part: function, kind, name.
    Part(&'a str, Part, &'a str),
}

impl<'a> Followed<'a> {
    /// Takes a key apart; none for what is no such key.
    #[must_use]
    pub fn parse(key: &'a str) -> Option<Self> {
        if let Some(name) = key.strip_prefix(FUNCTIONS) {
            return Some(Self::Function(name));
        }
        let mut steps = key.strip_prefix(PARTS)?.splitn(3, '/');
        let (function, folder, name) = (steps.next()?, steps.next()?, steps.next()?);
        let (part, _) = Part::ALL.into_iter().find(|(_, known)| *known == folder)?;
        match part {
            Part::Version => Some(Self::Version(function, name.parse().ok()?)),
            part => Some(Self::Part(function, part, name)),
        }
    }
}

/// The record of a version as it stands in [`FUNCTIONS`] or below the function.
#[must_use]
pub fn of_version(function: &str, id: VersionId) -> String {
    match id {
        VersionId::Latest => self::function(function),
        VersionId::Number(number) => version(function, number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_followed_and_taken_apart() {
        for (part, _) in Part::ALL.into_iter().filter(|(part, _)| *part != Part::Version) {
            let key = part.key("f", "$LATEST");
            assert!(key.starts_with(FOLLOWED) && key.starts_with(&parts_of("f")), "{key}");
            assert_eq!(Followed::parse(&key), Some(Followed::Part("f", part, "$LATEST")));
        }
        assert_eq!(Followed::parse(&version("f", 7)), Some(Followed::Version("f", 7)));
        assert_eq!(Followed::parse(&function("f")), Some(Followed::Function("f")));
        assert_eq!(Followed::parse("function-part/f/none/x"), None);
        assert!(version("f", 9) < version("f", 10));
    }
}
