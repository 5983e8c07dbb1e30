//! Whether a user may do what a request asks for: the API server's authorizers say.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};

use super::failure::Failure;
use super::timely;
use super::user::User;

/// Asks for rights.
pub(super) struct Access(Api<SubjectAccessReview>);

/// What a user wants to do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deed<'a> {
    pub(super) verb: &'a str,
    pub(super) group: &'a str,
    pub(super) resource: &'a str,
    pub(super) subresource: &'a str,
    /// Empty: of the cluster.
    pub(super) namespace: &'a str,
    /// Empty: all, or not known yet.
    pub(super) name: &'a str,
}

impl Access {
    pub(super) fn new(client: kube::Client) -> Self {
        Self(Api::all(client))
    }

    /// # Errors
    /// It may not, or nobody can say now.
    pub(super) async fn check(&self, user: &User, deed: Deed<'_>) -> Result<(), Failure> {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.name.clone()),
                uid: user.uid.clone(),
                groups: Some(user.groups.clone()),
                extra: Some(user.extra.clone()),
                resource_attributes: Some(deed.attributes()),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let answer = timely(self.0.create(&PostParams::default(), &review)).await?;
        let status = answer.status.unwrap_or_default();
        if status.allowed && status.denied != Some(true) {
            return Ok(());
        }
        Err(Failure::forbidden(deed.refused(user)))
    }
}

impl Deed<'_> {
    fn attributes(&self) -> ResourceAttributes {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        ResourceAttributes {
            verb: given(self.verb),
            group: given(self.group),
            version: Some(shoal_crds::RUNTIME_VERSION.to_owned()),
            resource: given(self.resource),
            subresource: given(self.subresource),
            namespace: given(self.namespace),
            name: given(self.name),
            ..ResourceAttributes::default()
        }
    }

    fn refused(&self, user: &User) -> String {
        let mut resource = self.resource.to_owned();
        if !self.subresource.is_empty() {
            resource = format!("{resource}/{}", self.subresource);
        }
        let place = match self.namespace {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace \"{namespace}\""),
        };
        format!(
            "User \"{}\" cannot {} resource \"{resource}\" in API group \"{}\" {place}",
            user.name, self.verb, self.group
        )
    }
}
