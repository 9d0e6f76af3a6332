//! `hearth doctor`: what this machine has, and how to get what is missing.

use anyhow::Result;

use crate::cli::DoctorArgs;
