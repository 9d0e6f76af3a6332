//! What commits in the metadata store mean to the snapshot.

use std::collections::HashSet;

use hearth_types::function::{AliasRecord, FunctionRecord, VersionRecord};
use hearth_types::policy::Policy;
use hearth_types::settings::{ProvisionedConcurrency, UrlConfig};

use crate::snapshot::{FunctionEntry, Functions};

/// One change that a commit in the metadata store made: a record that is now this, or gone. Each begins with the
/// function's name.
#[derive(Clone, Debug)]
pub enum FunctionChange {
    /// A function's own record. With it goes all that belonged to the function.
    Function(String, Option<Box<FunctionRecord>>),
    /// A published version.
    Version(String, u64, Option<Box<VersionRecord>>),
    /// An alias, by name.
    Alias(String, String, Option<Box<AliasRecord>>),
    /// The URL of a qualifier: `$LATEST` or an alias.
    Url(String, String, Option<Box<UrlConfig>>),
    /// The policy of a qualifier.
    Policy(String, String, Option<Box<Policy>>),
    /// What is provisioned of a qualifier: a version's number or an alias.
    Provisioned(String, String, Option<Box<ProvisionedConcurrency>>),
}

/// What a change is about.
#[derive(PartialEq, Eq, Hash)]
enum Subject<'a> {
    Function(&'a str),
    Version(&'a str, u64),
    Alias(&'a str, &'a str),
    Url(&'a str, &'a str),
    Policy(&'a str, &'a str),
    Provisioned(&'a str, &'a str),
}

impl FunctionChange {
    /// The function's name.
    pub(crate) fn function(&self) -> &str {
        match self {
            Self::Function(name, _)
            | Self::Version(name, ..)
            | Self::Alias(name, ..)
            | Self::Url(name, ..)
            | Self::Policy(name, ..)
            | Self::Provisioned(name, ..) => name,
        }
    }

    fn subject(&self) -> Subject<'_> {
        match self {
            Self::Function(name, _) => Subject::Function(name),
            Self::Version(name, number, _) => Subject::Version(name, *number),
            Self::Alias(name, alias, _) => Subject::Alias(name, alias),
            Self::Url(name, qualifier, _) => Subject::Url(name, qualifier),
            Self::Policy(name, qualifier, _) => Subject::Policy(name, qualifier),
            Self::Provisioned(name, qualifier, _) => Subject::Provisioned(name, qualifier),
        }
    }
}

/// The changes that make `functions` what `listed` says: all of `listed`, and the end of whatever is not in it.
pub(crate) fn replacement(functions: &Functions, mut listed: Vec<FunctionChange>) -> Vec<FunctionChange> {
    let there: HashSet<Subject<'_>> = listed.iter().map(FunctionChange::subject).collect();
    let mut gone = Vec::new();
    for (name, entry) in functions {
        if there.contains(&Subject::Function(name)) {
            gone.extend(ends_of_parts(name, entry).filter(|end| !there.contains(&end.subject())));
        } else {
            gone.push(FunctionChange::Function(name.to_string(), None));
        }
    }
    drop(there);
    listed.extend(gone);
    listed
}

/// The end of each part of a function.
fn ends_of_parts(name: &str, entry: &FunctionEntry) -> impl Iterator<Item = FunctionChange> {
    let name = || name.to_owned();
    let versions = entry.published.keys().map(move |number| FunctionChange::Version(name(), *number, None));
    let aliases = entry.aliases.keys().map(move |alias| FunctionChange::Alias(name(), alias.clone(), None));
    let urls = entry.urls.keys().map(move |qualifier| FunctionChange::Url(name(), qualifier.clone(), None));
    let policies = entry.policies.keys().map(move |qualifier| FunctionChange::Policy(name(), qualifier.clone(), None));
    let provisioned = entry.provisioned.keys();
    let provisioned = provisioned.map(move |of| FunctionChange::Provisioned(name(), of.clone(), None));
    versions.chain(aliases).chain(urls).chain(policies).chain(provisioned)
}
