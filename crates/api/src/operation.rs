//! What the tables of services and operations are made of.

use std::fmt::Debug;

use crate::schema::{Kind, Shape};
use crate::value::FromValue;

/// All that the model of a service says, but for its shapes.
#[derive(Debug)]
pub struct Table<O: 'static> {
    pub(crate) service: Service,
    pub(crate) all: &'static [O],
    /// One per operation, in the enum's order.
    pub(crate) rows: &'static [Row],
    /// By the first part of the path. Empty where operations are named beside the path.
    pub(crate) routes: &'static [(&'static str, &'static [Route<O>])],
}

/// What holds for a service as a whole.
#[derive(PartialEq, Eq, Debug)]
pub struct Service {
    /// The name in the scope of signatures, and in permissions: `iam`.
    pub name: &'static str,
    /// What people call it: `CloudWatch Logs`.
    pub id: &'static str,
    /// How requests and answers are written.
    pub protocol: Protocol,
    /// The version of the API: `2010-05-08`.
    pub version: &'static str,
    /// What stands before the operation in `X-Amz-Target`.
    pub target_prefix: Option<&'static str>,
    /// Of answers in XML.
    pub xml_namespace: Option<&'static str>,
    /// The code of errors about broken constraints.
    pub(crate) validation: &'static str,
}

/// How requests and answers are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// Method and path name the operation; bodies are JSON.
    RestJson,
    /// `X-Amz-Target` names the operation; bodies are JSON, `application/x-amz-json-1.0`.
    Json10,
    /// The same with `application/x-amz-json-1.1`.
    Json11,
    /// A form's `Action` names the operation; answers are XML.
    Query,
}

/// Facts of one operation.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) iam: &'static str,
    pub(crate) status: u16,
    pub(crate) streams: bool,
    pub(crate) input: Option<&'static Shape>,
}

/// One way to an operation. The part before these selects the table.
#[derive(Debug)]
pub(crate) struct Route<O> {
    pub(crate) method: &'static str,
    pub(crate) parts: &'static [Part],
    /// A query parameter that must be there: it tells two operations on one path apart.
    pub(crate) query: Option<(&'static str, &'static str)>,
    pub(crate) operation: O,
}

/// What stands between two slashes.
#[derive(Debug)]
pub(crate) enum Part {
    Text(&'static str),
    Label(&'static str),
}

/// The operations of one service.
pub trait ServiceOperation: Copy + Eq + Debug + Send + Sync + 'static {
    /// What the model says.
    fn table() -> &'static Table<Self>;

    /// Its place in the table.
    fn index(self) -> usize;

    /// As the model names it: `CreateFunction`.
    fn name(self) -> &'static str {
        self.row().name
    }

    /// The permission it needs: `iam:CreateRole`.
    fn iam_action(self) -> &'static str {
        self.row().iam
    }

    /// Its service.
    #[must_use]
    fn service() -> &'static Service {
        &Self::table().service
    }
}

/// What only this crate asks of an operation.
pub(crate) trait InTable: ServiceOperation {
    fn row(self) -> &'static Row {
        &Self::table().rows[self.index()]
    }
}

impl<O: ServiceOperation> InTable for O {}

/// Ties an operation to its input and output.
pub trait OperationType {
    /// The operations of the service.
    type Operation: ServiceOperation;
    /// The operation.
    const OPERATION: Self::Operation;
    /// What it takes; `()` where it takes nothing.
    type Input: FromValue;
    /// What it answers; `()` where the answer has no members.
    type Output;
}

pub(crate) fn members(input: Option<&'static Shape>, within: &[&str]) -> Vec<String> {
    let of = |shape: &'static Shape| match shape.kind {
        Kind::Structure { members, .. } => members,
        _ => &[],
    };
    let mut names = Vec::new();
    for member in input.map_or(&[][..], of) {
        if within.contains(&member.name) {
            names.extend(of(member.shape).iter().map(|inner| format!("{}.{}", member.name, inner.name)));
        } else {
            names.push(member.name.to_owned());
        }
    }
    names
}

macro_rules! service_operations {
    ($operation:ident) => {
        impl $crate::operation::ServiceOperation for $operation {
            fn table() -> &'static $crate::operation::Table<Self> {
                &TABLE
            }

            fn index(self) -> usize {
                self as usize
            }
        }

        impl $operation {
            /// All operations, by name.
            pub const ALL: &'static [Self] = TABLE.all;

            /// As the model names it: `CreateFunction`.
            #[must_use]
            pub fn name(self) -> &'static str {
                TABLE.rows[self as usize].name
            }

            /// The permission it needs: `lambda:InvokeFunction`.
            #[must_use]
            pub fn iam_action(self) -> &'static str {
                TABLE.rows[self as usize].iam
            }

            /// The status of its success.
            #[must_use]
            pub fn status(self) -> http::StatusCode {
                http::StatusCode::from_u16(TABLE.rows[self as usize].status).unwrap_or_default()
            }

            /// The members of its input as the model names them, those of the structures `within` one by one.
            #[must_use]
            pub fn members(self, within: &[&str]) -> Vec<String> {
                $crate::operation::members(TABLE.rows[self as usize].input, within)
            }

            /// Whether its answer is a stream of event frames: then [`crate::encode_head`] writes only the head.
            #[must_use]
            pub fn streams(self) -> bool {
                TABLE.rows[self as usize].streams
            }
        }
    };
}

pub(crate) use service_operations;

macro_rules! operation_types {
    ($operation:path; $($name:ident($input:ty) -> $output:ty,)+) => {$(
        #[doc = concat!("`", stringify!($name), "`.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl $crate::operation::OperationType for $name {
            type Operation = $operation;
            const OPERATION: Self::Operation = <$operation>::$name;
            type Input = $input;
            type Output = $output;
        }
    )+};
}

pub(crate) use operation_types;
