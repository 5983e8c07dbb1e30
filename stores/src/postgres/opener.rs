//! How the connections of a pool are made: with a session of their own, where that can be had.

use std::sync::atomic::{AtomicBool, Ordering};

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use tokio_postgres::{Config, Error};

use super::{
    connector::Connector,
    session::{self, Session},
};

/// See the module.
pub(crate) struct Opener {
    config: Config,
    connector: Connector,
    /// Until something was seen to stand in between.
    wants_own: AtomicBool,
}

impl Opener {
    pub(crate) fn new(config: Config, connector: Connector) -> Self {
        Self {
            config,
            connector,
            wants_own: AtomicBool::new(true),
        }
    }

    /// From now on sessions are taken to be shared with others.
    pub(crate) fn share(&self) {
        self.wants_own.store(false, Ordering::Relaxed);
    }

    async fn own(&self) -> Result<Option<Session>, Error> {
        if !self.wants_own.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match Session::own(&self.connector, &self.config).await {
            Ok(session) => {
                if !session.is_own() {
                    self.share();
                }
                Ok(Some(session))
            }
            Err(error) if session::may_be_for_its_settings(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Manager for Opener {
    type Type = Session;
    type Error = Error;

    async fn create(&self) -> Result<Session, Error> {
        if let Some(session) = self.own().await? {
            return Ok(session);
        }
        let session = Session::shared(&self.connector, &self.config).await?;
        // It was for the settings: without, there is a session.
        self.share();
        Ok(session)
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<Error> {
        if session.client.is_closed() {
            return Err(RecycleError::message("it is dead"));
        }
        Ok(())
    }
}
