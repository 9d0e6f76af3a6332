//! What to say of a runtime that cannot run here.

use hearth_types::invoke::FunctionFailure;
use hearth_types::runtime::RuntimeVersion;

use crate::discover::{NODE_MAJORS, PYTHON_MINORS};
use crate::java::{self, JAVA_MAJORS};
use crate::ruby::RUBY_MINORS;

/// A runtime that cannot run here.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what}. {how}")]
pub struct Missing {
    /// What is missing.
    pub what: String,
    /// How to get it.
    pub how: String,
}

impl Missing {
    /// What an invoke answers. `Runtime.InvalidRuntime` is a type of ours: on Lambda no runtime is ever missing.
    #[must_use]
    pub fn failure(&self) -> FunctionFailure {
        FunctionFailure { error_type: "Runtime.InvalidRuntime".to_owned(), message: self.to_string() }
    }
}

/// What is missing for the runtime of this name.
pub(crate) fn missing(name: &str) -> Missing {
    let minor = |language: &str| name.strip_prefix(language).and_then(|minor| minor.parse::<u32>().ok());
    let node = name.strip_prefix("nodejs").and_then(|rest| rest.strip_suffix(".x")?.parse::<u32>().ok());
    if let Some(minor) = minor("python3.").filter(|minor| PYTHON_MINORS.contains(minor)) {
        return Missing {
            what: lacks(name, &format!("Python 3.{minor}")),
            how: format!(
                "Install it, for instance with 'apt-get install python3.{minor}' or 'pyenv install 3.{minor}', so that \
                 python3.{minor} is on the PATH of the server, and restart the server"
            ),
        };
    }
    if let Some(major) = node.filter(|major| NODE_MAJORS.contains(major)) {
        return Missing {
            what: lacks(name, &format!("Node.js {major}")),
            how: format!(
                "Install it, for instance with 'nvm install {major}', so that its 'node' is on the PATH of the server or \
                 below NVM_DIR, and restart the server"
            ),
        };
    }
    if let Some(minor) = minor("ruby3.").filter(|minor| RUBY_MINORS.contains(minor)) {
        return Missing {
            what: lacks(name, &format!("Ruby 3.{minor}")),
            how: format!(
                "Install it, for instance with 'rbenv install 3.{minor}', so that its 'ruby' is on the PATH of the server \
                 or below RBENV_ROOT, and restart the server; or have another Ruby stand in for it: \
                 'hearth serve --runtime {name}=/usr/bin/ruby'"
            ),
        };
    }
    if let Some(major) = JAVA_MAJORS.into_iter().find(|major| java::name(*major) == name) {
        let (newer, stand_in) = if major >= 11 {
            (" or newer", String::new())
        } else {
            ("", format!("; or have another Java stand in for it: 'hearth serve --runtime {name}=/usr/bin/java'"))
        };
        return Missing {
            what: lacks(name, &format!("Java {major}{newer}")),
            how: format!(
                "Install it, for instance with 'apt-get install openjdk-{major}-jre-headless' or SDKMAN, so that its 'java' is \
                 on the PATH of the server, below /usr/lib/jvm or in JAVA_HOME, and restart the server{stand_in}"
            ),
        };
    }
    Missing {
        what: format!("Hearth does not run the runtime {name} yet"),
        how: "Use python3.8 to python3.14, nodejs16.x to nodejs24.x, ruby3.2 to ruby3.4, java8.al2 to java25, provided.al2 \
              or provided.al2023"
            .to_owned(),
    }
}

/// What is missing where a function is held to an interpreter that is not there, whatever else there is.
pub(crate) fn missing_version(name: &str, version: &RuntimeVersion) -> Missing {
    Missing {
        what: format!(
            "The function is held to one version of the runtime {name} ({}), which this machine does not have any more",
            version.interpreter()
        ),
        how: "Put that interpreter back and restart the server, or let the function run what is installed: call \
              PutRuntimeManagementConfig with UpdateRuntimeOn Auto, or, where it is FunctionUpdate, update the function"
            .to_owned(),
    }
}

fn lacks(name: &str, interpreter: &str) -> String {
    format!("The runtime {name} needs {interpreter}, which this machine does not have")
}
