//! The JSON of what operators see and say.

use serde::{Deserialize, Serialize};
use tenant_manager::{NodesPage, OperatorNodeView};
use tenant_model::{DesiredState, NodeStatus};
use utoipa::{IntoParams, ToSchema};

use super::{Node, Status};
use crate::app::App;

/// Which nodes of this host.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct NodesWanted {
    /// Only nodes with this status.
    #[param(value_type = Option<Status>)]
    pub(in crate::api) status: Option<NodeStatus>,
    /// `next_cursor` of a page: the nodes after that page.
    pub(in crate::api) cursor: Option<String>,
    /// Most nodes of a page, from 1 to 500.
    #[param(minimum = 1, maximum = 500, default = 100)]
    pub(in crate::api) limit: Option<usize>,
}

/// Why a node is suspended.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Suspension {
    /// The node's owner reads it; 1 to 500 characters.
    #[schema(min_length = 1, max_length = 500)]
    pub(in crate::api) reason: String,
}

/// A node as an operator sees it.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct OperatorNode {
    #[serde(flatten)]
    node: Node,
    /// Id of the account that owns it.
    owner: String,
    desired_state: Desired,
    /// Raised whenever it is placed on a host, and when its host starts.
    generation: i64,
}

/// What its owner wants of a node.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Desired {
    Running,
    Stopped,
    Archived,
}

/// Part of the nodes of this host, by label.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct OperatorNodeList {
    items: Vec<OperatorNode>,
    /// Where the next page begins, if there is one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

impl From<DesiredState> for Desired {
    fn from(desired: DesiredState) -> Self {
        match desired {
            DesiredState::Running => Self::Running,
            DesiredState::Stopped => Self::Stopped,
            DesiredState::Archived => Self::Archived,
        }
    }
}

impl OperatorNode {
    pub(in crate::api) fn new(view: OperatorNodeView, app: &App) -> Self {
        Self {
            node: Node::new(view.node, app),
            owner: view.owner.to_string(),
            desired_state: view.desired.into(),
            generation: view.generation,
        }
    }
}

impl OperatorNodeList {
    pub(in crate::api) fn new(page: NodesPage, app: &App) -> Self {
        let nodes = page.nodes.into_iter();
        Self {
            items: nodes.map(|node| OperatorNode::new(node, app)).collect(),
            next_cursor: page.next.map(|label| label.to_string()),
        }
    }
}
