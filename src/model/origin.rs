//! How a request reached us.

/// How a request reached us. Every request carries it as an extension: `request.extensions().get::<Origin>()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Over the network.
    Tcp,
    /// Over the control socket, from a process of this user or of root. The kernel vouches for it.
    Control {
        /// The peer's user.
        uid: u32,
    },
}
