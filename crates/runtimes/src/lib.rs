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

pub use ahead::{Ahead, ahead};
pub use catalogue::{Catalogue, Kind, Runtime, discover};
pub use extension::extension_env;
pub use launch::{API, CREDENTIALS_PATH, Launch, NulByte, RUNTIME_API, Session, launch};
pub use missing::Missing;
pub use stand_in::StandIn;

#[cfg(test)]
mod test_support {
    use hearth_identity::{Credentials, Secret};
    use hearth_types::CodeDigest;
    use hearth_types::invoke::VersionSpec;
    use hearth_types::runtime::RuntimeVersion;

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
        VersionSpec {
            generation: 1,
            function: "f".into(),
            function_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".into(),
            version: "$LATEST".into(),
            runtime: runtime.into(),
            runtime_version: None,
            handler: "app.handler".into(),
            memory_mb: 128,
            timeout_s: 3,
            ephemeral_mb: 512,
            role: "arn:aws:iam::000000000000:role/r".into(),
            variables: vec![("TEST_KEY".into(), "TEST_VAL".into())],
            code: CodeDigest([0; 32]),
            layers: Vec::new(),
            log_format: hearth_types::function::LogFormat::Text,
            log_group: "/aws/lambda/f".into(),
            region: "us-east-1".into(),
            initialization: hearth_types::invoke::Initialization::OnDemand,
            tenant: None,
        }
    }
}
