//! The status page. Pure.
