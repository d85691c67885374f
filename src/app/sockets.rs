//! The listening sockets of a gateway, bound here or handed over by the gateway before this one.

use std::net::{SocketAddr, TcpListener};

use crate::config::Listeners;

use super::postern::StartError;

/// The sockets, listening; connections wait in the system's queue until somebody serves.
///
/// Whoever serves works on copies: the sockets outlive the serving, so that they can be handed over, or served again.
#[derive(Debug)]
pub struct Sockets {
    pub(super) gateway: TcpListener,
    pub(super) sides: SideSockets,
}

/// The sockets beside the gateway's.
#[derive(Debug)]
pub(super) struct SideSockets {
    pub(super) client_api: TcpListener,
    pub(super) admin: TcpListener,
    pub(super) ops: TcpListener,
}

impl Sockets {
    /// Binds every address. Needs a runtime.
    pub async fn bind(listeners: &Listeners) -> Result<Self, StartError> {
        Sockets::take_up(listeners, Vec::new()).await
    }

    /// Takes over what was handed over where it is still wanted, and binds the rest. What is not wanted any more is closed.
    pub(super) async fn take_up(
        listeners: &Listeners,
        mut handed_over: Vec<(String, TcpListener)>,
    ) -> Result<Self, StartError> {
        let sides = SideSockets::take_up(listeners, &mut handed_over).await?;
        let gateway = socket("gateway", listeners.gateway.address, &mut handed_over).await?;
        Ok(Sockets { gateway, sides })
    }

    /// Each with its name, as they are handed over.
    pub(super) fn named(&self) -> [(&'static str, &TcpListener); 4] {
        let SideSockets { client_api, admin, ops } = &self.sides;
        [("gateway", &self.gateway), ("client_api", client_api), ("admin", admin), ("ops", ops)]
    }

    /// The same sockets once more.
    pub(super) fn try_clone(&self) -> std::io::Result<Self> {
        let SideSockets { client_api, admin, ops } = &self.sides;
        let sides =
            SideSockets { client_api: client_api.try_clone()?, admin: admin.try_clone()?, ops: ops.try_clone()? };
        Ok(Sockets { gateway: self.gateway.try_clone()?, sides })
    }
}

impl SideSockets {
    pub(super) async fn bind(listeners: &Listeners) -> Result<Self, StartError> {
        SideSockets::take_up(listeners, &mut Vec::new()).await
    }

    async fn take_up(listeners: &Listeners, handed_over: &mut Vec<(String, TcpListener)>) -> Result<Self, StartError> {
        Ok(SideSockets {
            client_api: socket("client_api", listeners.client_api.address, handed_over).await?,
            admin: socket("admin", listeners.admin.address, handed_over).await?,
            ops: socket("ops", listeners.ops.address, handed_over).await?,
        })
    }
}

async fn socket(
    name: &'static str,
    address: SocketAddr,
    handed_over: &mut Vec<(String, TcpListener)>,
) -> Result<TcpListener, StartError> {
    let wanted = |socket: &TcpListener| {
        // Port 0 left the choice to the system, which has chosen.
        socket.local_addr().is_ok_and(|own| own.ip() == address.ip() && [own.port(), 0].contains(&address.port()))
    };
    let place = handed_over.iter().position(|(known, socket)| *known == *name && wanted(socket));
    if let Some(place) = place {
        return Ok(handed_over.swap_remove(place).1);
    }
    let bound = tokio::net::TcpListener::bind(address).await.and_then(tokio::net::TcpListener::into_std);
    bound.map_err(|source| StartError::Listen { name, address, source })
}
