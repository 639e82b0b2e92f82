//! The manager's handle.

use std::net::IpAddr;

use node_api::Secret;

use crate::*;

/// The handle; cheap to clone.
#[derive(Debug, Clone)]
pub struct Manager;

impl Manager {
    /// Signs someone up.
    ///
    /// # Errors
    /// As said there.
    pub async fn register(
        &self,
        email: &str,
        password: Secret<String>,
    ) -> Result<NewAccount, RegisterError> {
        let _ = (email, password);
        Err(RegisterError::Unavailable("not built yet".to_owned()))
    }

    /// Begins a session.
    ///
    /// # Errors
    /// As said there.
    pub async fn sign_in(
        &self,
        email: &str,
        password: Secret<String>,
    ) -> Result<NewSession, SignInError> {
        let _ = (email, password);
        Err(SignInError::Unavailable("not built yet".to_owned()))
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// As said there.
    pub async fn authenticate(&self, token: &str) -> Result<Principal, AuthError> {
        let _ = (token,);
        Err(AuthError::Unavailable("not built yet".to_owned()))
    }

    /// Ends the session.
    ///
    /// # Errors
    /// As said there.
    pub async fn sign_out(&self, principal: &Principal) -> Result<(), AuthError> {
        let _ = (principal,);
        Err(AuthError::Unavailable("not built yet".to_owned()))
    }

    /// The account.
    ///
    /// # Errors
    /// As said there.
    pub async fn account(&self, principal: &Principal) -> Result<AccountView, AuthError> {
        let _ = (principal,);
        Err(AuthError::Unavailable("not built yet".to_owned()))
    }

    /// Makes an operator.
    ///
    /// # Errors
    /// As said there.
    pub async fn promote_operator(&self, email: &str) -> Result<(), PromoteError> {
        let _ = (email,);
        Err(PromoteError::Unavailable("not built yet".to_owned()))
    }

    /// Whether a label can be had.
    ///
    /// # Errors
    /// As said there.
    pub async fn availability(&self, label: &str) -> Result<Availability, NodeOpError> {
        let _ = (label,);
        Err(NodeOpError::Unavailable("not built yet".to_owned()))
    }

    /// Makes a node.
    ///
    /// # Errors
    /// As said there.
    pub async fn create_node(
        &self,
        principal: &Principal,
        label: &str,
        password: Secret<String>,
    ) -> Result<NodeView, CreateError> {
        let _ = (principal, label, password);
        Err(CreateError::Unavailable("not built yet".to_owned()))
    }

    /// The account's nodes.
    ///
    /// # Errors
    /// As said there.
    pub async fn nodes(&self, principal: &Principal) -> Result<Vec<NodeView>, NodeOpError> {
        let _ = (principal,);
        Err(NodeOpError::Unavailable("not built yet".to_owned()))
    }

    /// One node.
    ///
    /// # Errors
    /// As said there.
    pub async fn node(&self, principal: &Principal, label: &str) -> Result<NodeView, NodeOpError> {
        let _ = (principal, label);
        Err(NodeOpError::Unavailable("not built yet".to_owned()))
    }

    /// Starts it.
    ///
    /// # Errors
    /// As said there.
    pub async fn start_node(
        &self,
        principal: &Principal,
        label: &str,
    ) -> Result<NodeView, NodeOpError> {
        let _ = (principal, label);
        Err(NodeOpError::Unavailable("not built yet".to_owned()))
    }

    /// Stops it.
    ///
    /// # Errors
    /// As said there.
    pub async fn stop_node(
        &self,
        principal: &Principal,
        label: &str,
    ) -> Result<NodeView, NodeOpError> {
        let _ = (principal, label);
        Err(NodeOpError::Unavailable("not built yet".to_owned()))
    }

    /// Restarts it.
    ///
    /// # Errors
    /// As said there.
    pub async fn restart_node(
        &self,
        principal: &Principal,
        label: &str,
    ) -> Result<NodeView, NodeOpError> {
        let _ = (principal, label);
        Err(NodeOpError::Unavailable("not built yet".to_owned()))
    }

    /// Puts it to sleep.
    ///
    /// # Errors
    /// As said there.
    pub async fn hibernate_node(
        &self,
        principal: &Principal,
        label: &str,
    ) -> Result<NodeView, NodeOpError> {
        let _ = (principal, label);
        Err(NodeOpError::Unavailable("not built yet".to_owned()))
    }

    /// Archives it.
    ///
    /// # Errors
    /// As said there.
    pub async fn delete_node(
        &self,
        principal: &Principal,
        label: &str,
        purge: bool,
    ) -> Result<NodeView, NodeOpError> {
        let _ = (principal, label, purge);
        Err(NodeOpError::Unavailable("not built yet".to_owned()))
    }

    /// Shows the SSH password.
    ///
    /// # Errors
    /// As said there.
    pub async fn ssh_password(
        &self,
        principal: &Principal,
        label: &str,
    ) -> Result<Secret<String>, SshPasswordError> {
        let _ = (principal, label);
        Err(SshPasswordError::Unavailable("not built yet".to_owned()))
    }

    /// Changes the SSH password.
    ///
    /// # Errors
    /// As said there.
    pub async fn rotate_ssh_password(
        &self,
        principal: &Principal,
        label: &str,
    ) -> Result<Secret<String>, SshPasswordError> {
        let _ = (principal, label);
        Err(SshPasswordError::Unavailable("not built yet".to_owned()))
    }

    /// Anyone's access to the public pages.
    ///
    /// # Errors
    /// As said there.
    pub fn visitor(&self, label: &str) -> Result<TenantAccess, AccessError> {
        let _ = (label,);
        Err(AccessError::NotReady)
    }

    /// The owner's access by SSH.
    ///
    /// # Errors
    /// As said there.
    pub async fn ssh_sign_in(
        &self,
        label: &str,
        password: &str,
        peer: IpAddr,
    ) -> Result<TenantAccess, SshAuthError> {
        let _ = (label, password, peer);
        Err(SshAuthError::Wrong)
    }

    /// A running node.
    ///
    /// # Errors
    /// As said there.
    pub async fn acquire(&self, access: &TenantAccess) -> Result<Lease, AcquireError> {
        let _ = (access,);
        Err(AcquireError::ShuttingDown)
    }
}
