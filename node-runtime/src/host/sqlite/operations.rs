//! What all interfaces do, once: bounds, deadlines, and who pays for the memory of what passes.

use std::sync::Arc;

use shoal_crds::{Interface, Reason};
use shoal_stores::{
    KeyValueError, SqlError,
    sql::{Answer, Session, Statement},
};

use super::{Connection, Failure, MOST_OPEN};
use crate::{
    app::Component,
    engine::{MemoryLimiter, Refused},
    host::counted::Counted,
    stores::{Class, Operation, Outcome, StoreClasses},
};

/// The databases of a component, apart from the instance's resources.
pub(super) struct Operations<'a> {
    pub(super) component: &'a Arc<Component>,
    pub(super) classes: &'a Arc<StoreClasses>,
    pub(super) limiter: &'a mut MemoryLimiter,
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let bound = refused.bound();
        Self::Other(format!("there is no memory for it: {bound} is used up"))
    }
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::AccessDenied => Self::AccessDenied,
            SqlError::Full(_) => Self::Full,
            error => Self::Other(error.to_string()),
        }
    }
}

impl From<KeyValueError> for Failure {
    fn from(error: KeyValueError) -> Self {
        match error {
            KeyValueError::AccessDenied => Self::AccessDenied,
            error => Self::Other(error.to_string()),
        }
    }
}

impl Operations<'_> {
    /// A connection to the database that a label is bound to.
    pub(super) fn open(&self, label: &str, open: &mut Counted) -> Result<Connection, Failure> {
        let bindings = self.component.stores.iter();
        let found = bindings
            .enumerate()
            .find(|(_, binding)| binding.interface == Interface::Sql && binding.label == label);
        // In Spin a label that the component does not list is denied; here no other is ever bound.
        let (binding, store) = found.ok_or(Failure::AccessDenied)?;
        let too_many = || {
            let why = format!("too many connections opened: the limit is {MOST_OPEN}");
            Failure::Other(why)
        };
        Ok(Connection {
            session: Session::new(store.id),
            binding,
            database: None,
            _open: open.one_more(MOST_OPEN).ok_or_else(too_many)?,
            is_busy: false,
        })
    }

    /// Does one statement on `connection`.
    pub(super) async fn execute(
        &mut self,
        connection: &mut Connection,
        statement: Statement,
    ) -> Result<Answer, Failure> {
        let binding = self.component.stores.get(connection.binding);
        let binding = binding.ok_or(Failure::InvalidConnection)?;
        let class = self.classes.find(&binding.class).await?;
        let database = self.classes.sql(&class)?;
        connection.database = Some(Arc::clone(&database));
        let admitted = class.admit(binding.id, 1, binding.nodes);
        if admitted.is_err() {
            class.refused(Operation::Execute, Outcome::from(&admitted));
        }
        if let Err(KeyValueError::LimitExceeded(problem)) = &admitted {
            self.tell(&class, &binding.label, Reason::StoreRateExceeded, problem);
        }
        admitted?;

        // The statement is there as well until its answer is.
        let given = statement.bytes();
        self.pass(given)?;
        let call = database.execute(&mut connection.session, statement, class.limits());
        connection.is_busy = true;
        let result = class.call(Operation::Execute, call).await;
        connection.is_busy = false;
        if let Err(SqlError::LimitExceeded(problem) | SqlError::Full(problem)) = &result {
            self.tell(&class, &binding.label, Reason::StoreLimitReached, problem);
        }
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => {
                self.limiter.passed();
                return Err(error.into());
            }
        };
        // Until the guest has its copy, and makes its next call.
        self.pass(given.saturating_add(answer.bytes()))?;
        Ok(answer)
    }

    /// The app's owner hears of limits as well.
    fn tell(&self, class: &Class, label: &str, reason: Reason, problem: &str) {
        let (app, class) = (&self.component.app.name, class.name());
        self.classes.owners().tell(app, reason, || {
            format!("store `{label}` (interface Sql, class `{class}`): {problem}")
        });
    }

    fn pass(&mut self, bytes: usize) -> Result<(), Failure> {
        Ok(self.limiter.pass(bytes as u64)?)
    }
}
