//! Operators: who they are, one more, one less.

use std::time::Duration;

use skerry_identity::csr;
use skerry_identity::operator::LIFE;
use skerry_identity::thumbprint::Thumbprint;
use skerry_proto::v1::{
    CreateOperatorRequest, CreateOperatorResponse, ListOperatorsResponse, OperatorRow, RevokeOperatorRequest,
    RevokeOperatorResponse,
};

use super::Core;
use super::failure::Failure;
use crate::identity::authority::FIRST_OPERATOR;
use crate::identity::desk::NotHanded;
use crate::identity::operators::{Backing, CORE, May, Operator};
use crate::store::StateStore;

impl<S: StateStore> Core<S> {
    pub(super) fn create_operator(
        &self,
        request: &CreateOperatorRequest,
        by: &str,
    ) -> Result<CreateOperatorResponse, Failure> {
        if request.name == FIRST_OPERATOR && by != FIRST_OPERATOR {
            let words = "credentials of `admin` are made by the core, or by `admin`: they are good for more";
            return Err(Failure::Forbidden(words.to_owned()));
        }
        if request.name == CORE {
            return Err(Failure::Invalid(format!("`{CORE}` is the core's own name: take another one")));
        }
        let key = csr::verify(&request.request).map_err(NotHanded::from)?;
        let life = match request.life_seconds {
            0 => LIFE,
            seconds => Duration::from_secs(seconds),
        };
        let may = if request.read_only { May::Look } else { May::Change };
        let certificate = self.desk.add_operator(&request.name, &key, life, may, by)?;
        let authority = self.desk.authority();
        Ok(CreateOperatorResponse {
            certificate: certificate.der().to_vec(),
            roots: authority.link_roots().iter().map(|root| root.der().to_vec()).collect(),
            mesh: authority.mesh().as_str().to_owned(),
            read_only: request.read_only,
        })
    }

    pub(super) fn list_operators(&self, asks: Thumbprint) -> ListOperatorsResponse {
        let row = |(operator, backing): (Operator, Backing)| OperatorRow {
            is_ending: backing == Backing::Ending,
            is_you: operator.key == asks,
            is_rotated_out: backing == Backing::Gone,
            is_read_only: operator.may == May::Look,
            key: operator.key.as_bytes().to_vec(),
            since_ms: operator.since.0,
            until_ms: operator.until.0,
            name: operator.name,
            by: operator.by,
        };
        let operators = self.desk.operators().into_iter().map(row).collect();
        ListOperatorsResponse { operators, now_ms: self.clock.now().0 }
    }

    pub(super) fn revoke_operator(
        &self,
        request: &RevokeOperatorRequest,
        by: &str,
    ) -> Result<RevokeOperatorResponse, Failure> {
        match self.desk.revoke_operator(&request.name, by)? {
            0 => Err(Failure::NotFound(format!("there is no operator `{}`", request.name))),
            keys => Ok(RevokeOperatorResponse { keys: u32::try_from(keys).unwrap_or(u32::MAX) }),
        }
    }
}
