//! The HTTP side: what a request asks for, who may ask, and what an answer looks like. Nothing here
//! has state.

pub(in crate::relay) mod assets;
pub(in crate::relay) mod authority;
pub(crate) mod error;
pub(in crate::relay) mod event_stream;
pub(crate) mod request;
pub(in crate::relay) mod response;
pub(in crate::relay) mod route;
pub(crate) mod site;
pub(in crate::relay) mod views;
