//! An etcd that demands certificates.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use store::{Commit, EtcdOptions, EtcdStore, Key, Prefix, Revision, Store, StoreError};
use tempfile::TempDir;
use testkit::left_out::missing;

use crate::server::{self, Server, clock, create, own_address};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes a server's files, and returns etcd's arguments for them.
fn server_files(authority: &Authority, address: &str, folder: &TempDir) -> Vec<String> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![address.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let write = |name: &str, text: String| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let files = [
        ("cert-file", write("server.pem", certificate.pem())),
        ("key-file", write("server.key", key.serialize_pem())),
        ("trusted-ca-file", write("ca.pem", authority.pem())),
    ];
    let flag = |(name, path): (&str, PathBuf)| format!("--{name}={}", path.display());
    let mut flags: Vec<_> = files.into_iter().map(flag).collect();
    flags.push("--client-cert-auth".to_owned());
    flags
}

/// A client that trusts one authority, and shows a certificate of another one, if there is one.
fn client(trusted: &Authority, shown: Option<&Authority>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match shown {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["node1".to_owned()]).unwrap();
            let certificate = params.signed_by(&key, authority).unwrap();
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
            let chain = vec![certificate.der().clone()];
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    })
}

#[tokio::test]
async fn only_a_certificate_of_the_cluster_gets_in() {
    if server::program().is_none() {
        return missing("etcd with certificates", "etcd is missing (etcd/build.sh)");
    }
    let (ours, foreign, folder) = (authority(), authority(), tempfile::tempdir().unwrap());
    let address = own_address();
    let flags = server_files(&ours, &address, &folder);
    let server = Server::start_at(address, "https", flags);
    let with = |tls| EtcdOptions {
        tls: Some(tls),
        ..server.options("node1")
    };
    let store = create(with(client(&ours, Some(&ours)))).await;
    let mut watch = store.watch(&Prefix::all(), Revision(0)).await.unwrap();
    let commit = Commit::new().put(Key::new("a").unwrap(), "x");
    let revision = store.commit(commit).await.unwrap();
    assert_eq!(watch.next().await.unwrap().revision, revision);

    let strangers = [
        ("no certificate", client(&ours, None)),
        ("a foreign certificate", client(&ours, Some(&foreign))),
        ("a foreign server", client(&foreign, Some(&ours))),
    ];
    for (what, tls) in strangers {
        let refused = EtcdStore::connect(with(tls), clock()).await.err();
        assert!(
            matches!(refused, Some(StoreError::Unavailable(_))),
            "{what}: {refused:?}"
        );
    }
}
