//! The status page: one document that shows whether all is well, and what is not. Pure.
//!
//! Owns how the page looks and what of it is shown; what there is to show are the rows of [`crate::survey`]. Reads
//! nothing and has no clock. The document needs nothing but itself: style, script and picture are inside, so that it
//! can be saved as it is, and the policy it comes with allows nothing else.
//!
//! ```text
//!   Picture ──View (the query)──▶ findings, pools, conflicts, Services, moves, nodes, words ──Html──▶ document
//! ```
//!
//! Every value comes from somebody who may mean ill (names, annotations, messages, Events): `html` takes markup
//! only as literals, and escapes the rest.

mod conflicts;
mod document;
mod findings;
mod html;
mod moment;
mod moves;
mod nodes;
mod picture;
mod pools;
mod services;
mod view;
mod words;

pub use document::{document, policy, refusal};
pub use findings::{Finding, findings};
pub use picture::{Lead, Picture};
pub use view::View;

#[cfg(test)]
mod tests;
