//! What the homepage decides: which entries it takes, in what order they
//! stand, and how they become a page.
//!
//! Whatever an app sends is hostile until [`entry`] has taken it in; what is
//! on the [`board`] is bounded in number and size, points into its own
//! process' pages and carries no script outside of a widget. There is nothing
//! to stop.

pub mod board;
pub mod entry;
pub mod headers;
pub mod icon;
pub mod page;
pub mod request;
