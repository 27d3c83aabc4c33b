//! Operations of the isolation level `http`: each run is a call to a URL, whose server does the work.

pub(crate) mod address_rule;
pub(crate) mod call;
pub(crate) mod checked_resolver;
pub(crate) mod header_secrets;
pub(crate) mod outgoing_request;
pub(crate) mod query_parameters;
pub(crate) mod response;
pub(crate) mod setting_headers;
pub(crate) mod settings;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;
