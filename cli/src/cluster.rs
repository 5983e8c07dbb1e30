//! The cluster that a kubeconfig leads to.

use anyhow::{Context as _, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// A cluster that can be asked.
pub struct Cluster {
    /// Asks it.
    pub client: Client,
    /// Its URL, for messages.
    pub server: String,
    /// The context's namespace.
    pub namespace: String,
}

impl Cluster {
    /// The cluster of this context, else of the current one.
    ///
    /// # Errors
    /// There is no usable kubeconfig, or no such context in it.
    pub async fn of_context(context: Option<String>) -> Result<Self> {
        let config = config(context).await?;
        Ok(Self {
            server: config.cluster_url.to_string(),
            namespace: config.default_namespace.clone(),
            client: Client::try_from(config).context("cannot use the kubeconfig")?,
        })
    }

    /// What went wrong; `unknown`: what is meant when the server does not know what was asked for.
    pub fn explained(&self, error: kube::Error, unknown: &str) -> anyhow::Error {
        let server = &self.server;
        match &error {
            kube::Error::Api(status) if is_unknown(status) => {
                anyhow::anyhow!("{server} does not know {unknown}")
            }
            kube::Error::Api(status) => anyhow::anyhow!("{server} refused: {}", status.message),
            _ => anyhow::Error::new(error).context(format!("cannot reach {server}")),
        }
    }
}

/// Whether the server has no such API, rather than no such object.
fn is_unknown(status: &kube::core::Status) -> bool {
    status.code == 404
        && ["the requested resource", "page not found"]
            .iter()
            .any(|words| status.message.contains(words))
}

/// Runs a command's requests.
///
/// # Errors
/// Its own; or there is no asynchronous runtime.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?
        .block_on(work)
}

async fn config(context: Option<String>) -> Result<Config> {
    if context.is_none() {
        return Config::infer()
            .await
            .context("no cluster: there is no usable kubeconfig (set KUBECONFIG)");
    }
    let file = Kubeconfig::read().context("cannot read the kubeconfig")?;
    let options = KubeConfigOptions {
        context,
        ..KubeConfigOptions::default()
    };
    Config::from_custom_kubeconfig(file, &options)
        .await
        .context("cannot use that context")
}
