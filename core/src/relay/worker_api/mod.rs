//! The workers' side: register, poll, lease (E).

pub(in crate::relay) mod environments;
pub(in crate::relay) mod work;
