//! Reaching a master.

use super::error::ClientError;
use netrender_net::{api::Api, discovery};
use std::time::Duration;

/// Time to listen for a master when no address is given.
const LISTEN: Duration = Duration::from_secs(2);

/// Connects to the master at this address, or to the first one heard if it is empty, and checks
/// that it is one.
pub async fn connect(address: &str) -> Result<Api, ClientError> {
    let api = if address.trim().is_empty() {
        let heard = discovery::find_first(LISTEN).await.ok().flatten().ok_or(ClientError::NoMaster)?;
        Api::new(&heard.url)?
    } else {
        Api::new(address)?
    };
    api.info().await?;
    Ok(api)
}
