//! Runtimes: which interpreters the machine has, the root file system each needs, our own bootstraps, and how a
//! runtime's process is started.

mod ahead;
mod cache;
mod catalogue;
mod closure;
mod compiled;
mod discover;
mod elf;
mod extension;
mod java;
mod launch;
mod missing;
mod node_version;
mod root;
mod ruby;
mod stand_in;
mod stock;

pub use ahead::{Ahead, ahead, foreseen};
pub use catalogue::{Catalogue, Kind, Runtime, discover};
pub use extension::extension_env;
pub use launch::{API, CREDENTIALS_PATH, Launch, NulByte, RUNTIME_API, Session, launch};
pub use missing::Missing;
pub use stand_in::StandIn;
pub use stock::Stock;

#[cfg(test)]
mod test_support {
    use hearth_identity::{Credentials, Secret};
    use hearth_types::invoke::VersionSpec;
    use hearth_types::runtime::RuntimeVersion;
    use hearth_types::test_support::version;

    use crate::{Kind, Runtime};

    pub(crate) fn credentials() -> Credentials {
        let (access_key_id, session_token) = ("ASIA".to_owned(), Some("token".to_owned()));
        Credentials { access_key_id, secret: Secret::new("secret"), session_token }
    }

    pub(crate) fn runtime(kind: Kind) -> Runtime {
        Runtime {
            name: "r".into(),
            kind,
            root: 3,
            compiled: true,
            version: String::new(),
            location: None,
            id: RuntimeVersion::nominal("r", "x86_64"),
        }
    }

    /// A version with this runtime and usual settings.
    pub(crate) fn spec(runtime: &str) -> VersionSpec {
        VersionSpec { variables: vec![("TEST_KEY".into(), "TEST_VAL".into())], ..version("f", runtime) }
    }
}
