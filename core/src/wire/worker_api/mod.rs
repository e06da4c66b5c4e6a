//! The Environments API, which workers call (E-1 to E-7).

pub mod environment;
pub mod work;
pub mod work_stream;
