//! The gRPC service in front of SQL databases.

use std::sync::Arc;

use async_trait::async_trait;
use shoal_protocol::v1::{self, sql_server};
use tonic::{Request, Response, Status};

use super::{
    Admission,
    operations::{self, Operations},
    responses::{self, Holding},
};
use crate::{
    sql::{Session, SessionState, Sql, Statement, wire as sql_wire},
    wire::MAX_MESSAGE_BYTES,
};

/// The service, to add to a tonic server whose connections are those of `shoal_protocol::server`.
pub type SqlService = Holding<sql_server::SqlServer<SqlServer>>;

/// Answers runtimes, for the Stores that are granted to their pods.
pub struct SqlServer {
    databases: Arc<dyn Sql>,
    admission: Admission,
    operations: Arc<Operations>,
}

impl SqlServer {
    /// A service in front of `databases`, that counts into `operations`.
    pub fn service(
        databases: Arc<dyn Sql>,
        admission: Admission,
        operations: Arc<Operations>,
    ) -> SqlService {
        let service = sql_server::SqlServer::new(Self {
            databases,
            admission,
            operations,
        });
        Holding(
            service
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
    }

    async fn execute(
        &self,
        request: Request<v1::ExecuteRequest>,
    ) -> Result<Response<v1::ExecuteResponse>, Status> {
        let store = self
            .admission
            .store(&request, &request.get_ref().store_id)
            .await?;
        let request = request.into_inner();
        let mut session = Session {
            store,
            id: sql_wire::session(&request.session)?,
            state: sql_wire::state(request.state())?,
            last_insert_rowid: request.last_insert_rowid,
            changes: 0,
        };
        let parameters = request.parameters.into_iter().map(sql_wire::value);
        let statement = Statement {
            text: request.statement,
            parameters: parameters.collect(),
        };
        let limits = self.admission.limits(store, request.limits);
        let answer = self
            .databases
            .execute(&mut session, statement, limits)
            .await?;
        let in_transaction = session.state == SessionState::InTransaction;
        let room = answer.room.clone();
        let response = sql_wire::response(answer, in_transaction);
        Ok(responses::hold(room.0, response))
    }
}

#[async_trait]
impl sql_server::Sql for SqlServer {
    async fn execute(
        &self,
        request: Request<v1::ExecuteRequest>,
    ) -> Result<Response<v1::ExecuteResponse>, Status> {
        let work = self.execute(request);
        self.operations
            .counted(operations::Name::Execute, work)
            .await
    }

    async fn close(
        &self,
        request: Request<v1::CloseRequest>,
    ) -> Result<Response<v1::CloseResponse>, Status> {
        let store = self
            .admission
            .store(&request, &request.get_ref().store_id)
            .await?;
        let mut session = Session::new(store);
        session.id = sql_wire::session(&request.get_ref().session)?;
        self.databases.close(&session);
        Ok(Response::new(v1::CloseResponse {}))
    }
}
