//! `models/services.json`: which services there are, and which of their operations are taken over.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::json::Json;
use super::model::Model;

/// One service of the manifest.
pub(crate) struct Entry {
    /// The name that signatures and permissions have for it, and that its files have: `iam`.
    pub(crate) name: String,
    /// What people call it: `CloudWatch Logs`.
    pub(crate) id: String,
    /// The code of its errors about broken constraints.
    pub(crate) validation: String,
    /// The operations that are taken over; none means all.
    pub(crate) operations: Option<Vec<String>>,
}

impl Entry {
    /// The name of its module.
    pub(crate) fn module(&self) -> String {
        self.name.replace('-', "_")
    }

    /// Where its facts are.
    pub(crate) fn facts(&self, models: &Path) -> PathBuf {
        models.join(format!("{}.json", self.name))
    }

    /// Its facts with what is laid over them.
    pub(crate) fn model(&self, models: &Path) -> Result<Model> {
        let overrides = models.join(format!("{}.overrides.json", self.name));
        let overrides = if overrides.exists() { super::read(&overrides)? } else { Json::Object(Vec::new()) };
        Model::new(super::read(&self.facts(models))?, &overrides).with_context(|| self.name.clone())
    }
}

/// All services, in the manifest's order.
pub(crate) fn entries(models: &Path) -> Result<Vec<Entry>> {
    super::read(&models.join("services.json"))?.members().iter().map(|(name, json)| entry(name, json)).collect()
}

/// The service of that name.
pub(crate) fn entry_of(models: &Path, name: &str) -> Result<Entry> {
    match entries(models)?.into_iter().find(|entry| entry.name == name) {
        Some(entry) => Ok(entry),
        None => bail!("models/services.json has no {name}"),
    }
}

fn entry(name: &str, json: &Json) -> Result<Entry> {
    let text = |member: &str| json.get(member).and_then(Json::text).map(str::to_owned);
    let operations = json.get("operations").map(|list| list.texts().into_iter().map(str::to_owned).collect());
    Ok(Entry {
        name: name.to_owned(),
        id: text("id").with_context(|| format!("services.json: {name}: id"))?,
        validation: text("validation").unwrap_or_else(|| "ValidationException".to_owned()),
        operations,
    })
}
