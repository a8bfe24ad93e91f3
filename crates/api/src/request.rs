//! Reading a request: who calls, which request it is, what its headers, query and body say.

pub mod body;
pub mod caller;
pub mod id;
pub mod paging;
pub mod precondition;
