//! What a put or a delete does to the versions of an object: state in, writes out.

use hearth_store::Precondition;

use crate::contents::ContentId;
use crate::error::S3Error;
use crate::records::{Content, Version, Versioning};

/// A record and the store's version of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stored<T> {
    pub(crate) record: T,
    pub(crate) version: u64,
}

/// The versions of one object, as far as they matter.
#[derive(Clone, Default, Debug)]
pub(crate) struct Chain {
    pub(crate) latest: Option<Stored<Version>>,
    /// Newest first. Only where a version is sought: by its id, or the one that is called `null`.
    pub(crate) older: Vec<Stored<Version>>,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// Files that belong to no version any more.
    pub(crate) freed: Vec<ContentId>,
}

/// One write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Sets the latest version.
    SetLatest(Version, Precondition),
    /// Removes it.
    RemoveLatest(Precondition),
    /// Keeps a version that is no longer the latest.
    Keep(Version),
    /// Removes an older version, by its generation.
    RemoveOlder(u64, Precondition),
    /// Changes what is said of an older version.
    SetOlder(Version, Precondition),
}

impl Chain {
    /// Puts a version in front: one with this content, or a delete marker. `id` is its id where versions have one.
    pub(crate) fn put(
        &self,
        versioning: Versioning,
        id: String,
        now_ms: i64,
        content: Option<Content>,
    ) -> (Version, Plan) {
        let generation = self.latest.as_ref().map_or(0, |latest| latest.record.generation) + 1;
        let id = (versioning == Versioning::Enabled).then_some(id);
        let new = Version { id, generation, modified_ms: now_ms, content };
        let mut plan = Plan::default();
        plan.steps.push(Step::SetLatest(new.clone(), self.unchanged()));
        match &self.latest {
            Some(latest) if versioning == Versioning::Enabled || latest.record.id.is_some() => {
                plan.steps.push(Step::Keep(latest.record.clone()));
            }
            Some(latest) => plan.freed.extend(latest.record.files()),
            None => {}
        }
        if versioning == Versioning::Suspended
            && let Some(replaced) = self.older.iter().find(|older| older.record.id.is_none())
        {
            plan.remove_older(replaced);
        }
        (new, plan)
    }

    /// Removes the latest version for good; what was before it is the latest again.
    pub(crate) fn remove_latest(&self) -> Plan {
        let mut plan = Plan::default();
        let Some(latest) = &self.latest else { return plan };
        plan.freed.extend(latest.record.files());
        match self.older.first() {
            Some(next) => {
                plan.steps.push(Step::SetLatest(next.record.clone(), self.unchanged()));
                plan.steps.push(Step::RemoveOlder(next.record.generation, Precondition::Version(next.version)));
            }
            None => plan.steps.push(Step::RemoveLatest(self.unchanged())),
        }
        plan
    }

    /// Removes an older version for good.
    pub(crate) fn remove_older(&self, removed: &Stored<Version>) -> Plan {
        let mut plan = Plan::default();
        plan.remove_older(removed);
        plan
    }

    /// The version that a client means: the latest, or the one of this id.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn find(&self, key: &str, id: Option<&str>) -> Result<&Stored<Version>, S3Error> {
        match id {
            None => self.latest.as_ref().ok_or_else(|| S3Error::no_such_key(key)),
            Some(id) => {
                let mut all = self.latest.iter().chain(&self.older);
                all.find(|version| version.record.shown_id() == id).ok_or_else(|| S3Error::no_such_version(key, id))
            }
        }
    }

    /// Changes what is said of a version that was found here.
    pub(crate) fn replace(&self, changed: &Stored<Version>) -> Plan {
        let unchanged = Precondition::Version(changed.version);
        let is_latest =
            self.latest.as_ref().is_some_and(|latest| latest.record.generation == changed.record.generation);
        let step = if is_latest { Step::SetLatest } else { Step::SetOlder };
        Plan { steps: vec![step(changed.record.clone(), unchanged)], freed: Vec::new() }
    }

    fn unchanged(&self) -> Precondition {
        self.latest.as_ref().map_or(Precondition::Absent, |latest| Precondition::Version(latest.version))
    }
}

impl Plan {
    fn remove_older(&mut self, removed: &Stored<Version>) {
        self.steps.push(Step::RemoveOlder(removed.record.generation, Precondition::Version(removed.version)));
        self.freed.extend(removed.record.files());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::records::{Described, Segment};

    fn content() -> Content {
        // A file each, so that who frees what shows.
        let file: ContentId = serde_json::from_value(uuid::Uuid::new_v4().simple().to_string().into()).unwrap();
        let described = Described::default();
        Content { size: 1, etag: String::new(), segments: vec![Segment { file, size: 1 }], checksum: None, described }
    }

    /// What a store would hold, changed by plans as a commit would.
    #[derive(Default)]
    struct Kept {
        chain: Chain,
        commits: u64,
        freed: Vec<ContentId>,
    }

    impl Kept {
        fn apply(&mut self, plan: Plan) {
            self.commits += 1;
            for step in plan.steps {
                match step {
                    Step::SetLatest(record, precondition) => {
                        assert_eq!(precondition, self.chain.unchanged());
                        self.chain.latest = Some(Stored { record, version: self.commits });
                    }
                    Step::RemoveLatest(precondition) => {
                        assert_eq!(precondition, self.chain.unchanged());
                        self.chain.latest = None;
                    }
                    Step::Keep(record) => {
                        assert!(self.chain.older.iter().all(|older| older.record.generation < record.generation));
                        self.chain.older.insert(0, Stored { record, version: self.commits });
                    }
                    Step::RemoveOlder(generation, _) => {
                        let before = self.chain.older.len();
                        self.chain.older.retain(|older| older.record.generation != generation);
                        assert_eq!(self.chain.older.len(), before - 1);
                    }
                    Step::SetOlder(..) => unreachable!("no plan of these acts has it"),
                }
            }
            self.freed.extend(plan.freed);
        }

        fn all(&self) -> impl Iterator<Item = &Version> {
            self.chain.latest.iter().chain(&self.chain.older).map(|stored| &stored.record)
        }
    }

    #[derive(Clone, Debug)]
    enum Act {
        Put(bool),
        RemoveLatest,
        RemoveOlder(usize),
    }

    fn acts() -> impl Strategy<Value = Vec<(bool, Act)>> {
        let act = prop_oneof![
            any::<bool>().prop_map(Act::Put),
            Just(Act::RemoveLatest),
            (0_usize..4).prop_map(Act::RemoveOlder)
        ];
        prop::collection::vec((any::<bool>(), act), 0..24)
    }

    proptest! {
        #[test]
        fn files_are_a_version_s_or_free_and_one_version_at_most_has_no_id(
            off in 0_usize..4,
            acts in acts(),
        ) {
            let mut kept = Kept::default();
            let mut made = Vec::new();
            for (number, (enabled, act)) in acts.into_iter().enumerate() {
                // Versioning is off until it is first turned on, and never again.
                let versioning = match (number < off, enabled) {
                    (true, _) => Versioning::Off,
                    (false, true) => Versioning::Enabled,
                    (false, false) => Versioning::Suspended,
                };
                match act {
                    Act::Put(has_content) => {
                        let content = (has_content || versioning == Versioning::Off).then(content);
                        made.extend(content.iter().flat_map(|content| content.segments.iter().map(|s| s.file)));
                        let (new, plan) = kept.chain.put(versioning, format!("v{number}"), 0, content);
                        kept.apply(plan);
                        prop_assert_eq!(&kept.chain.latest.as_ref().unwrap().record, &new);
                        prop_assert_eq!(new.id.is_some(), versioning == Versioning::Enabled);
                    }
                    Act::RemoveLatest => {
                        let next = kept.chain.older.first().map(|older| older.record.clone());
                        let plan = kept.chain.remove_latest();
                        kept.apply(plan);
                        prop_assert_eq!(kept.chain.latest.as_ref().map(|latest| latest.record.clone()), next);
                    }
                    Act::RemoveOlder(at) => {
                        if let Some(removed) = kept.chain.older.get(at).cloned() {
                            let plan = kept.chain.remove_older(&removed);
                            kept.apply(plan);
                        }
                    }
                }
                prop_assert!(kept.all().filter(|version| version.id.is_none()).count() <= 1);
                prop_assert!(number >= off || kept.chain.older.is_empty());
                let mut held: Vec<_> = kept.all().flat_map(Version::files).chain(kept.freed.clone()).collect();
                prop_assert_eq!(held.len(), made.len());
                held.retain(|file| !made.contains(file));
                prop_assert!(held.is_empty());
            }
        }
    }
}
