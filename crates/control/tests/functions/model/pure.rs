//! The model: what each operation does, as plainly as it can be said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Map, json};

use super::*;

const INVALID: &str = "InvalidParameterValueException";
const MISSING: &str = "ResourceNotFoundException";
const CONFLICT: &str = "ResourceConflictException";

/// The code of an error, or the number of the version that the answer shows; 0 where it shows none.
pub(super) type Outcome = Result<u64, &'static str>;

#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Model {
    functions: BTreeMap<u8, Function>,
    layers: BTreeMap<u8, Layer>,
}

#[derive(Clone, PartialEq, Debug)]
struct Function {
    latest: Version,
    versions: BTreeMap<u64, Version>,
    last: u64,
    /// $LATEST's when it was published last.
    published_description: Option<u8>,
    aliases: BTreeMap<u8, Alias>,
    policies: BTreeMap<Of, Vec<u8>>,
    reserved: Option<u32>,
}

#[derive(Clone, PartialEq, Debug)]
struct Version {
    code: u8,
    description: Option<u8>,
    layers: Vec<(u8, u64)>,
}

#[derive(Clone, PartialEq, Debug)]
struct Alias {
    version: u64,
    weight: Option<u64>,
}

impl Alias {
    fn leads_to(&self, number: u64) -> bool {
        self.version == number || self.weight == Some(number)
    }
}

#[derive(Clone, PartialEq, Debug, Default)]
struct Layer {
    last: u64,
    versions: BTreeMap<u64, (u8, Vec<u8>)>,
}

/// What two operations at the same time may come to.
pub(super) struct Order {
    pub(super) model: Model,
    pub(super) answers: (Outcome, Outcome),
}

impl Model {
    /// One after the other, either way. While a change of code or configuration is under way, another one is refused.
    pub(super) fn orders(&self, one: &Operation, other: &Operation) -> Vec<Order> {
        let mut orders = Vec::new();
        for (first, second, is_turned) in [(one, other, false), (other, one, true)] {
            let mut model = self.clone();
            let first_answer = model.apply(first);
            let mut both = model.clone();
            let second_answer = both.apply(second);
            let mut ends = vec![(both, second_answer)];
            if first_answer.is_ok() && first.changes().is_some_and(|function| second.needs_settled() == Some(function))
            {
                ends.push((model, Err(CONFLICT)));
            }
            orders.extend(ends.into_iter().map(|(model, second_answer)| {
                let answers = if is_turned { (second_answer, first_answer) } else { (first_answer, second_answer) };
                Order { model, answers }
            }));
        }
        orders
    }

    pub(super) fn apply(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Create { function, code, layers, publish } => {
                self.layers_fit(layers)?;
                if self.functions.contains_key(function) {
                    return Err(CONFLICT);
                }
                let latest = Version { code: *code, description: None, layers: layers.clone() };
                let mut made = Function {
                    latest,
                    versions: BTreeMap::new(),
                    last: 0,
                    published_description: None,
                    aliases: BTreeMap::new(),
                    policies: BTreeMap::new(),
                    reserved: None,
                };
                let shown = if *publish { made.publish(None) } else { 0 };
                self.functions.insert(*function, made);
                Ok(shown)
            }
            Operation::UpdateCode { function, code, publish } => {
                let function = self.function(*function)?;
                function.latest.code = *code;
                Ok(if *publish { function.publish(None) } else { 0 })
            }
            Operation::Configure { function, description, layers } => {
                self.function(*function)?;
                if let Some(layers) = layers {
                    self.layers_fit(layers)?;
                }
                let function = self.function(*function)?;
                function.latest.description = Some(*description);
                if let Some(layers) = layers {
                    function.latest.layers.clone_from(layers);
                }
                Ok(0)
            }
            Operation::Publish { function, description } => Ok(self.function(*function)?.publish(*description)),
            Operation::Delete { function, version: None } => self.functions.remove(function).map(|_| 0).ok_or(MISSING),
            Operation::Delete { function, version: Some(number) } => {
                let function = self.function(*function)?;
                if function.aliases.values().any(|alias| alias.leads_to(*number)) {
                    return Err(CONFLICT);
                }
                function.versions.remove(number);
                function.policies.remove(&Of::Version(*number));
                Ok(0)
            }
            Operation::CreateAlias { function, alias, version, weight } => {
                let alias = (*alias, Alias { version: *version, weight: *weight });
                may_route(&alias.1)?;
                let function = self.function(*function)?;
                function.has_versions(&alias.1)?;
                if function.aliases.contains_key(&alias.0) {
                    return Err(CONFLICT);
                }
                function.aliases.insert(alias.0, alias.1);
                Ok(0)
            }
            Operation::UpdateAlias { function, alias, version, weight } => {
                let function = self.function(*function)?;
                let before = function.aliases.get(alias).ok_or(MISSING)?;
                let after =
                    Alias { version: version.unwrap_or(before.version), weight: weight.unwrap_or(before.weight) };
                may_route(&after)?;
                function.has_versions(&after)?;
                function.aliases.insert(*alias, after);
                Ok(0)
            }
            Operation::DeleteAlias { function, alias } => {
                let function = self.function(*function)?;
                function.aliases.remove(alias);
                function.policies.remove(&Of::Alias(*alias));
                Ok(0)
            }
            Operation::Allow { function, of, sid } => {
                let function = self.function(*function)?;
                function.has(*of)?;
                let sids = function.policies.entry(*of).or_default();
                if sids.contains(sid) {
                    return Err(CONFLICT);
                }
                sids.push(*sid);
                Ok(0)
            }
            Operation::Disallow { function, of, sid } => {
                let function = self.function(*function)?;
                function.has(*of)?;
                let sids = function.policies.get_mut(of).ok_or(MISSING)?;
                sids.remove(sids.iter().position(|other| other == sid).ok_or(MISSING)?);
                if sids.is_empty() {
                    function.policies.remove(of);
                }
                Ok(0)
            }
            Operation::Reserve { function, reserved } => {
                let own = self.function(*function)?.reserved.unwrap_or(0);
                let all: u32 = self.functions.values().filter_map(|function| function.reserved).sum();
                if *reserved > own && all - own + reserved + 100 > 1000 {
                    return Err(INVALID);
                }
                self.function(*function)?.reserved = Some(*reserved);
                Ok(0)
            }
            Operation::Unreserve { function } => {
                self.function(*function)?.reserved = None;
                Ok(0)
            }
            Operation::PublishLayer { layer, code } => {
                let layer = self.layers.entry(*layer).or_default();
                layer.last += 1;
                layer.versions.insert(layer.last, (*code, Vec::new()));
                Ok(layer.last)
            }
            Operation::DeleteLayer { layer, version } => {
                if let Some(layer) = self.layers.get_mut(layer) {
                    layer.versions.remove(version);
                }
                Ok(0)
            }
            Operation::AllowLayer { layer, version, sid } => {
                let sids = self.sids_of_layer(*layer, *version)?;
                if sids.contains(sid) {
                    return Err(CONFLICT);
                }
                sids.push(*sid);
                Ok(0)
            }
            Operation::DisallowLayer { layer, version, sid } => {
                let sids = self.sids_of_layer(*layer, *version)?;
                sids.remove(sids.iter().position(|other| other == sid).ok_or(MISSING)?);
                Ok(0)
            }
        }
    }

    fn function(&mut self, function: u8) -> Result<&mut Function, &'static str> {
        self.functions.get_mut(&function).ok_or(MISSING)
    }

    fn sids_of_layer(&mut self, layer: u8, version: u64) -> Result<&mut Vec<u8>, &'static str> {
        let found = self.layers.get_mut(&layer).and_then(|layer| layer.versions.get_mut(&version));
        found.map(|(_, sids)| sids).ok_or(MISSING)
    }

    /// That the versions are there, each of another layer.
    fn layers_fit(&self, layers: &[(u8, u64)]) -> Result<(), &'static str> {
        let names: BTreeSet<u8> = layers.iter().map(|(layer, _)| *layer).collect();
        let is_there = |(layer, number): &(u8, u64)| {
            self.layers.get(layer).is_some_and(|layer| layer.versions.contains_key(number))
        };
        if names.len() == layers.len() && layers.iter().all(is_there) { Ok(()) } else { Err(INVALID) }
    }

    /// What clients can read of it.
    pub(super) fn shown(&self) -> Value {
        let functions: Map<_, _> = self.functions.iter().map(|(n, one)| (format!("f{n}"), one.shown())).collect();
        let shown_layer = |layer: &Layer| {
            layer.versions.iter().map(|(n, (code, sids))| (n.to_string(), json!([code, sids]))).collect::<Map<_, _>>()
        };
        let layers: Map<_, _> = self.layers.iter().map(|(n, one)| (format!("l{n}"), shown_layer(one).into())).collect();
        let in_functions = self.functions.values().flat_map(|one| one.versions.values().chain([&one.latest]));
        let codes = in_functions.map(|version| version.code);
        let in_layers = self.layers.values().flat_map(|layer| layer.versions.values().map(|(code, _)| *code));
        let bytes: usize = codes.chain(in_layers).map(|code| package(code).len()).sum();
        let reserved: u32 = self.functions.values().filter_map(|function| function.reserved).sum();
        json!({
            "functions": functions,
            // A layer without versions is not listed.
            "layers": layers.into_iter().filter(|(_, versions)| versions != &json!({})).collect::<Map<_, _>>(),
            "account": {"functions": self.functions.len(), "bytes": bytes, "unreserved": 1000 - reserved},
        })
    }
}

impl Operation {
    /// The function that is in transition afterwards.
    fn changes(&self) -> Option<u8> {
        match self {
            Self::Create { function, .. } | Self::UpdateCode { function, .. } | Self::Configure { function, .. } => {
                Some(*function)
            }
            _ => None,
        }
    }

    /// The function that must not be in transition.
    fn needs_settled(&self) -> Option<u8> {
        match self {
            Self::UpdateCode { function, .. } | Self::Configure { function, .. } | Self::Publish { function, .. } => {
                Some(*function)
            }
            _ => None,
        }
    }
}

impl Function {
    fn publish(&mut self, description: Option<u8>) -> u64 {
        let is_as_published = self.versions.get(&self.last).is_some_and(|last| {
            last.code == self.latest.code
                && last.layers == self.latest.layers
                && self.published_description == self.latest.description
        });
        if !is_as_published {
            self.last += 1;
            let description = description.or(self.latest.description);
            self.versions.insert(self.last, Version { description, ..self.latest.clone() });
            self.published_description = self.latest.description;
        }
        self.last
    }

    fn has(&self, of: Of) -> Result<(), &'static str> {
        let is_there = match of {
            Of::Function => true,
            Of::Version(number) => self.versions.contains_key(&number),
            Of::Alias(alias) => self.aliases.contains_key(&alias),
        };
        if is_there { Ok(()) } else { Err(MISSING) }
    }

    fn has_versions(&self, alias: &Alias) -> Result<(), &'static str> {
        let mut leads_to = [alias.version, alias.weight.unwrap_or(0)].into_iter().filter(|number| *number > 0);
        if leads_to.all(|number| self.versions.contains_key(&number)) { Ok(()) } else { Err(MISSING) }
    }

    fn shown(&self) -> Value {
        let versions: Map<_, _> = self.versions.iter().map(|(n, version)| (n.to_string(), version.shown())).collect();
        let shown_alias = |alias: &Alias| json!([alias.version, alias.weight]);
        let aliases: Map<_, _> = self.aliases.iter().map(|(n, alias)| (format!("a{n}"), shown_alias(alias))).collect();
        let policies: Map<_, _> = self.policies.iter().map(|(of, sids)| (of.name(), json!(sids))).collect();
        json!({
            "latest": self.latest.shown(), "versions": versions, "aliases": aliases, "policies": policies,
            "reserved": self.reserved,
        })
    }
}

impl Version {
    fn shown(&self) -> Value {
        let layers: Vec<String> = self.layers.iter().map(|(layer, number)| format!("l{layer}:{number}")).collect();
        json!([self.code, self.description, layers])
    }
}

impl Of {
    /// As a qualifier; empty for the function itself.
    pub(super) fn name(self) -> String {
        match self {
            Self::Function => String::new(),
            Self::Version(number) => number.to_string(),
            Self::Alias(alias) => format!("a{alias}"),
        }
    }
}

fn may_route(alias: &Alias) -> Result<(), &'static str> {
    match alias.weight {
        Some(weight) if alias.version == 0 || alias.version == weight => Err(INVALID),
        _ => Ok(()),
    }
}

/// The package of a code's number.
pub(super) fn package(code: u8) -> Bytes {
    static PACKAGES: LazyLock<[Bytes; 3]> = LazyLock::new(|| [zip("x"), zip("xx"), zip("xxx")]);
    PACKAGES[usize::from(code)].clone()
}
