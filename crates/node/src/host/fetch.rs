//! A client for files on the web: `GET` and `HEAD`, redirects, certificates. Nothing else.

pub mod proxy;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::aws_lc_rs::digest::{SHA256, digest as sha256};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, LOCATION,
    PROXY_AUTHORIZATION, USER_AGENT,
};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use model::Error;
use model::text::fingerprint;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// The authorities that this machine trusts, where Debian keeps them.
pub const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

const REDIRECTS: usize = 10;

/// How long a server may take to answer, and to send anything more.
const SILENCE_S: u64 = 60;

/// A file that is coming in.
pub(crate) struct Fetched {
    body: Incoming,
    /// In bytes, where the server says it.
    pub(crate) length: Option<u64>,
    /// Drives the connection; ends with this value.
    _connection: JoinSet<()>,
}

impl Fetched {
    /// The next piece; none at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(frame) = in_time(self.body.frame()).await? else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| failed("the download broke off", &error))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }
}

/// How servers are reached and believed.
#[derive(Clone)]
pub struct Trust {
    tls: Arc<ClientConfig>,
    /// All is asked for there.
    proxy: Option<Uri>,
}

impl Trust {
    /// Trusts the authorities of a file, or with `verify` false anybody.
    pub fn new(verify: bool, roots: &Path) -> Result<Self, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| failed("cannot speak TLS", &error))?;
        let config = if verify {
            builder
                .with_root_certificates(authorities(roots)?)
                .with_no_client_auth()
        } else {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Unsigned::anybody(provider)))
                .with_no_client_auth()
        };
        Ok(Self {
            tls: Arc::new(config),
            proxy: None,
        })
    }

    /// Trusts one certificate, by its fingerprint in pairs of digits.
    pub(crate) fn pinned(fingerprint: &str) -> Result<Self, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let pinned = Unsigned {
            provider: provider.clone(),
            fingerprint: Some(fingerprint.to_ascii_uppercase()),
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed("cannot speak TLS", &error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_no_client_auth();
        Ok(Self {
            tls: Arc::new(config),
            proxy: None,
        })
    }

    pub(crate) fn tls(&self) -> Arc<ClientConfig> {
        self.tls.clone()
    }

    /// Reaches servers through an HTTP proxy.
    pub fn through(mut self, proxy: Option<&str>) -> Result<Self, Error> {
        let unusable = |reason| Error::conflict(format!("the cluster's http_proxy: {reason}"));
        self.proxy = proxy.map(proxy::parse).transpose().map_err(unusable)?;
        Ok(self)
    }
}

fn authorities(file: &Path) -> Result<RootCertStore, Error> {
    let unreadable = |error: &dyn std::error::Error| {
        failed(
            &format!("cannot read the trusted certificates in {}", file.display()),
            error,
        )
    };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| unreadable(&e))? {
        // One that this library does not understand is one less that is trusted.
        let _ = store.add(certificate.map_err(|e| unreadable(&e))?);
    }
    Ok(store)
}

/// Asks for a file, and asks again where the server sends us.
pub(crate) async fn fetch(url: &str, trust: &Trust) -> Result<Fetched, Error> {
    let (url, response, connection) = follow(Method::GET, url, trust).await?;
    let status = response.status();
    if status != 200 {
        return Err(Error::unavailable(format!(
            "the server answered '{status}' to {}",
            without_user(&url)
        )));
    }
    let length = hyper::body::Body::size_hint(response.body()).exact();
    Ok(Fetched {
        body: response.into_body(),
        length,
        _connection: connection,
    })
}

/// What a server says of a file without sending it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    pub file_name: Option<String>,
    pub media_type: Option<String>,
    /// In bytes.
    pub size: Option<u64>,
}

/// Asks for the metadata of a URL. Errors have the texts that clients know.
pub async fn metadata(url: &str, trust: &Trust) -> Result<Metadata, Error> {
    let refused = |said: String| Error::unavailable(format!("invalid server response: '{said}'"));
    let (url, response, _connection) = follow(Method::HEAD, url, trust)
        .await
        .map_err(|error| refused(format!("500 {}", error.message)))?;
    if response.status() != 200 {
        return Err(refused(response.status().to_string()));
    }
    let header = |name: HeaderName| {
        let value = response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.map(str::to_owned)
    };
    let named = header(CONTENT_DISPOSITION).and_then(|value| named_file(&value));
    let last = url.path().rsplit('/').next().unwrap_or_default();
    let last = Some(last.to_owned()).filter(|name| !name.is_empty());
    let media_type = header(CONTENT_TYPE).map(|value| {
        value
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    });
    Ok(Metadata {
        file_name: named.or(last),
        media_type,
        size: header(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
    })
}

/// The name in `attachment; filename="x.iso"`.
fn named_file(disposition: &str) -> Option<String> {
    let mut parts = disposition.split(';').map(str::trim);
    let name = parts.find_map(|part| part.strip_prefix("filename="))?;
    let name = name.trim_matches('"').rsplit('/').next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// The answer at the end of all redirects, and where that is.
async fn follow(
    method: Method,
    url: &str,
    trust: &Trust,
) -> Result<(Uri, Response<Incoming>, JoinSet<()>), Error> {
    let mut url = parse(url)?;
    for _ in 0..=REDIRECTS {
        let (response, connection) = ask(&method, &url, trust).await?;
        let location = response.headers().get(LOCATION);
        let Some(location) = location.filter(|_| response.status().is_redirection()) else {
            return Ok((url, response, connection));
        };
        let location = location
            .to_str()
            .map_err(|error| failed("a redirect", &error))?;
        url = resolve(&url, location)?;
    }
    Err(Error::unavailable(format!(
        "more than {REDIRECTS} redirects"
    )))
}

fn parse(url: &str) -> Result<Uri, Error> {
    let uri: Uri = url.parse().map_err(|error| {
        let url = shown(url);
        Error::conflict(format!("'{url}' is not a valid URL: {error}"))
    })?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(_)) if has_port_or_none(&uri) => Ok(uri),
        _ => Err(Error::conflict(format!(
            "'{}' is not the URL of a file (http or https)",
            shown(url)
        ))),
    }
}

/// What follows the host is a number, or there is nothing. Else it may be a part of a password
/// that has a `/` in it.
fn has_port_or_none(uri: &Uri) -> bool {
    uri.port_u16().is_some() || uri.host() == Some(server_of(uri))
}

/// A URL as messages and logs show it: without user and password.
pub(crate) fn shown(url: &str) -> String {
    match url.parse::<Uri>() {
        Ok(uri) if uri.authority().is_some() && has_port_or_none(&uri) => without_user(&uri),
        // Where the user ends is not clear: as late as it may.
        _ => match (url.split_once("://"), url.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
            (None, Some((_, rest))) => rest.to_owned(),
            (_, None) => url.to_owned(),
        },
    }
}

fn without_user(url: &Uri) -> String {
    let scheme = url.scheme_str().unwrap_or("http");
    let path = url.path_and_query().map_or("", |path| path.as_str());
    format!("{scheme}://{}{path}", server_of(url))
}

/// The host and port of a URL, without a user.
fn server_of(url: &Uri) -> &str {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let server = authority.rsplit_once('@');
    server.map_or(authority, |(_, server)| server)
}

/// The host of a URL, an IPv6 address without its brackets.
fn host_of(url: &Uri) -> &str {
    url.host().unwrap_or_default().trim_matches(['[', ']'])
}

/// Where a redirect leads (RFC 3986, as far as servers use it).
fn resolve(from: &Uri, location: &str) -> Result<Uri, Error> {
    let scheme = from.scheme_str().unwrap_or("https");
    let host = from.authority().map_or("", |authority| authority.as_str());
    if location.contains("://") {
        return parse(location);
    }
    if location.starts_with("//") {
        return parse(&format!("{scheme}:{location}"));
    }
    if location.starts_with('/') {
        return parse(&format!("{scheme}://{host}{location}"));
    }
    let folder = from
        .path()
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    parse(&format!("{scheme}://{host}{folder}/{location}"))
}

async fn ask(
    method: &Method,
    url: &Uri,
    trust: &Trust,
) -> Result<(Response<Incoming>, JoinSet<()>), Error> {
    let host = host_of(url);
    let is_https = url.scheme_str() == Some("https");
    let port = url.port_u16().unwrap_or(if is_https { 443 } else { 80 });
    let stream = match &trust.proxy {
        None => connect(host, port).await?,
        Some(proxy) => {
            let port_there = proxy.port_u16().unwrap_or(proxy::PORT);
            let mut stream = connect(host_of(proxy), port_there).await?;
            if !is_https {
                return speak(method, stream, url, Some(proxy)).await;
            }
            let target = format!("{}:{port}", url.host().unwrap_or_default());
            proxy::tunnel(&mut stream, &target, proxy).await?;
            stream
        }
    };
    if !is_https {
        return speak(method, stream, url, None).await;
    }
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| failed(&format!("'{host}' is not the name of a server"), &error))?;
    let secured = in_time(TlsConnector::from(trust.tls.clone()).connect(name, stream)).await?;
    let secured = secured.map_err(|error| failed(&format!("TLS with {host}"), &error))?;
    speak(method, secured, url, None).await
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, Error> {
    let connected = in_time(TcpStream::connect((host, port))).await?;
    connected.map_err(|error| unreachable(host, port, &error))
}

async fn speak(
    method: &Method,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    url: &Uri,
    proxy: Option<&Uri>,
) -> Result<(Response<Incoming>, JoinSet<()>), Error> {
    let broken =
        |error: hyper::Error| failed(&format!("no answer from {}", without_user(url)), &error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // An error shows in the answer or its body.
        let _ = connection.await;
    });
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let host = server_of(url);
    // A proxy needs the name of the server, too.
    let target = match proxy {
        Some(_) => format!("http://{host}{path}"),
        None => path.to_owned(),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, host)
        .header(USER_AGENT, "ostler");
    if let Some(secret) = proxy.and_then(proxy::authorization) {
        request = request.header(PROXY_AUTHORIZATION, secret);
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed("the request", &error))?;
    let response = in_time(sender.send_request(request))
        .await?
        .map_err(broken)?;
    Ok((response, driver))
}

async fn in_time<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let silence = Duration::from_secs(SILENCE_S);
    tokio::time::timeout(silence, work)
        .await
        .map_err(|_| Error::unavailable(format!("the server was silent for {SILENCE_S} s")))
}

/// The words of the client library that Proxmox VE uses.
fn unreachable(host: &str, port: u16, error: &std::io::Error) -> Error {
    let reason = match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "Connection refused".to_owned(),
        _ => error.to_string(),
    };
    Error::unavailable(format!("Can't connect to {host}:{port} ({reason})"))
}

fn failed(what: &str, error: &dyn std::error::Error) -> Error {
    Error::unavailable(format!("{what}: {}", Error::chain(error)))
}

/// Believes servers that no authority has signed for: the one with a certificate that the caller
/// knows, or every one, for callers who said so (`verify-certificates=0`).
#[derive(Debug)]
struct Unsigned {
    provider: Arc<CryptoProvider>,
    fingerprint: Option<String>,
}

impl Unsigned {
    fn anybody(provider: Arc<CryptoProvider>) -> Self {
        Self {
            provider,
            fingerprint: None,
        }
    }
}

impl ServerCertVerifier for Unsigned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = fingerprint(sha256(&SHA256, certificate).as_ref());
        match &self.fingerprint {
            Some(known) if *known != found => Err(rustls::Error::General(format!(
                "fingerprint '{found}' not verified, abort!"
            ))),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::ServerConfig;
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut head = [0; 1024];
        let length = stream.read(&mut head).await.unwrap_or(0);
        let text = String::from_utf8_lossy(&head[..length]).into_owned();
        let reply = match text.split(' ').nth(1) {
            Some("/file") => "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            Some("/short") => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
            Some("/named") => {
                "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Type: text/plain; charset=x\r\n\
                 Content-Disposition: attachment; filename=\"a.iso\"\r\n\r\n"
            }
            Some("/a/moved") => "HTTP/1.1 302 Found\r\nLocation: ../file\r\n\r\n",
            Some("/a/../file") => "HTTP/1.1 307 Moved\r\nLocation: /file\r\n\r\n",
            Some("/round") => "HTTP/1.1 302 Found\r\nLocation: /round\r\n\r\n",
            _ => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        };
        let _ = stream.write_all(reply.as_bytes()).await;
        let _ = stream.shutdown().await;
    }

    /// A server on this machine; answers its port.
    async fn server(tls: Option<TlsAcceptor>) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                match &tls {
                    None => answer(stream).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            answer(stream).await;
                        }
                    }
                }
            }
        });
        port
    }

    async fn content(url: &str, trust: &Trust) -> Result<Vec<u8>, Error> {
        let mut fetched = fetch(url, trust).await?;
        let mut content = Vec::new();
        while let Some(chunk) = fetched.chunk().await? {
            content.extend_from_slice(&chunk);
        }
        Ok(content)
    }

    #[tokio::test]
    async fn files_redirects_and_what_goes_wrong() {
        let port = server(None).await;
        let trust = Trust::new(false, Path::new("/")).unwrap();
        let get =
            async |path: &str| content(&format!("http://127.0.0.1:{port}{path}"), &trust).await;
        assert_eq!(get("/file").await.unwrap(), b"abc");
        assert_eq!(get("/a/moved").await.unwrap(), b"abc");
        for (path, text) in [
            ("/none", "404 Not Found"),
            ("/round", "more than 10 redirects"),
            ("/short", "the download broke off"),
        ] {
            let error = get(path).await.unwrap_err().to_string();
            assert!(error.contains(text), "{path}: {error}");
        }
        for bad in ["ftp://x/y", "/etc/passwd", "file:///etc/passwd", "http://"] {
            assert!(content(bad, &trust).await.is_err(), "{bad}");
        }
    }

    /// A proxy for files: answers its port and what it was asked first.
    async fn proxy(answers: u16) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            let length = stream.read(&mut head).await.unwrap();
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            if !head.starts_with("CONNECT") {
                let reply = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
                stream.write_all(reply.as_bytes()).await.unwrap();
            } else if answers == 0 {
                let refused = "HTTP/1.1 403 No\r\n\r\n";
                stream.write_all(refused.as_bytes()).await.unwrap();
            } else {
                let mut server = TcpStream::connect(("127.0.0.1", answers)).await.unwrap();
                let reply = "HTTP/1.1 200 Connected\r\n\r\n";
                stream.write_all(reply.as_bytes()).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
            }
            head
        });
        (port, asked)
    }

    #[tokio::test]
    async fn a_proxy_is_told_the_server_and_who_asks() {
        let trust = Trust::new(false, Path::new("/")).unwrap();
        let (port, asked) = proxy(0).await;
        let through = format!("http://jane:se%20cret@127.0.0.1:{port}");
        let trust = trust.through(Some(&through)).unwrap();
        let file = content("http://files.example/iso?x=1", &trust).await;
        assert_eq!(file.unwrap(), b"abc");
        let head = asked.await.unwrap();
        let line = "GET http://files.example/iso?x=1 HTTP/1.1\r\n";
        assert!(head.starts_with(line), "{head}");
        assert!(
            head.contains("proxy-authorization: Basic amFuZTpzZSBjcmV0"),
            "{head}"
        );
        let refused = trust.through(Some("http://jane:se cret@x"));
        let refused = refused.err().unwrap();
        assert!(!refused.message.contains("cret"), "{}", refused.message);
    }

    #[tokio::test]
    async fn no_message_has_a_password() {
        let port = server(None).await;
        let trust = Trust::new(false, Path::new("/")).unwrap();
        for (url, text) in [
            (
                format!("http://jane:secret@127.0.0.1:{port}/none"),
                format!("to http://127.0.0.1:{port}/none"),
            ),
            (
                "http://jane:se cret@x/a".to_owned(),
                "'http://x/a'".to_owned(),
            ),
            (
                "http://jane:se/cret@x/a".to_owned(),
                "'http://x/a'".to_owned(),
            ),
            (
                "ftp://jane:secret@x/a@b".to_owned(),
                "'ftp://x/a@b'".to_owned(),
            ),
        ] {
            let error = content(&url, &trust).await.unwrap_err().message;
            assert!(error.contains(&text), "{error}");
        }
        assert_eq!(shown("https://a:b@x:1/c@d?e=f"), "https://x:1/c@d?e=f");
        assert_eq!(shown("https://[::1]/c"), "https://[::1]/c");
    }

    #[tokio::test]
    async fn what_a_server_says_of_a_file() {
        let port = server(None).await;
        let trust = Trust::new(false, Path::new("/")).unwrap();
        let ask =
            async |path: &str| metadata(&format!("http://127.0.0.1:{port}{path}"), &trust).await;
        let named = ask("/named").await.unwrap();
        assert_eq!(named.file_name.as_deref(), Some("a.iso"));
        assert_eq!(
            (named.media_type.as_deref(), named.size),
            (Some("text/plain"), Some(7))
        );
        let plain = ask("/a/moved").await.unwrap();
        assert_eq!(
            (plain.file_name.as_deref(), plain.size),
            (Some("file"), Some(3))
        );
        let error = ask("/none").await.unwrap_err().message;
        assert_eq!(error, "invalid server response: '404 Not Found'");
        let error = metadata("http://127.0.0.1:1/x.iso", &trust)
            .await
            .unwrap_err();
        assert_eq!(
            error.message,
            "invalid server response: '500 Can't connect to 127.0.0.1:1 (Connection refused)'"
        );
    }

    #[tokio::test]
    async fn certificates_are_verified_unless_told_not_to() {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let port = server(Some(TlsAcceptor::from(Arc::new(config)))).await;
        let folder = tempfile::tempdir().unwrap();
        let (ours, none) = (
            folder.path().join("ours.pem"),
            folder.path().join("none.pem"),
        );
        std::fs::write(&ours, authority.pem()).unwrap();
        std::fs::write(&none, "").unwrap();
        let url = format!("https://localhost:{port}/file");
        let get = async |verify: bool, roots: &Path| {
            content(&url, &Trust::new(verify, roots).unwrap()).await
        };
        assert_eq!(get(true, &ours).await.unwrap(), b"abc");
        assert_eq!(get(false, &none).await.unwrap(), b"abc");
        let error = get(true, &none).await.unwrap_err().to_string();
        assert!(error.contains("invalid peer certificate"), "{error}");
        // Through a proxy it is still the server that is believed.
        for (answers, works) in [(port, true), (0, false)] {
            let (at, _asked) = proxy(answers).await;
            let through = format!("http://127.0.0.1:{at}");
            let trust = Trust::new(true, &ours).unwrap();
            let trust = trust.through(Some(&through)).unwrap();
            match content(&url, &trust).await {
                Ok(file) => assert!(works && file == b"abc"),
                Err(error) => {
                    let text = error.to_string();
                    assert!(!works && text.contains("403 No"), "{text}");
                }
            }
        }
    }
}
