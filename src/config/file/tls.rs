//! Certificates, and who is believed, on both sides.

use crate::config::file::guard::OnOff;
use crate::config::read::{OneOrMany, mirror, words};
use crate::config::text::At;

mirror! {
    /// TLS towards clients.
    #[schemars(rename = "ListenerTls")]
    struct FileListenerTls("`tls`") {
        /// Certificates, chosen among by the name a client asks for; the first is for all other names.
        [required] certificates: Vec<FileCertificate>,
        /// A PEM file of the authorities that vouch for clients.
        client_ca: At<String>,
        /// Whether clients are asked for certificates. Default: `required` with `client_ca`, else `off`.
        client_auth: At<ClientAuthWord>,
        /// The least version of TLS that is spoken.
        #[schemars(extend("default" = "1.2"))]
        min_version: At<MinVersionWord>,
    }
}

mirror! {
    /// A certificate with its key, read again when the files change.
    #[schemars(rename = "Certificate")]
    struct FileCertificate("a certificate") {
        /// A PEM file of the chain, the certificate itself first.
        #[schemars(extend("examples" = ["/etc/graylane/tls/tls.crt"]))]
        [required] cert: At<String>,
        /// The PEM file of its key.
        #[schemars(extend("examples" = ["/etc/graylane/tls/tls.key"]))]
        [required] key: At<String>,
    }
}

mirror! {
    /// Who tells of clients by the PROXY protocol, version 1 or 2. Nobody else may connect to this listener.
    #[schemars(rename = "ProxyProtocol")]
    struct FileProxyProtocol("`proxy_protocol`") {
        /// Networks of load balancers whose word is taken.
        #[schemars(extend("examples" = [["10.0.0.0/24"]]))]
        [required] from: OneOrMany<At<String>>,
    }
}

mirror! {
    /// TLS towards endpoints; `{}` believes the authorities of the system.
    #[schemars(rename = "UpstreamTls")]
    struct FileUpstreamTls("`tls`") {
        /// A PEM file of the authorities that vouch for endpoints. Default: those of the system.
        ca: At<String>,
        /// The name that is asked for and that the certificate has to be good for. Default: the host of the endpoint.
        server_name: At<String>,
        /// A PEM file of our own certificate chain, for endpoints that ask who calls.
        client_cert: At<String>,
        /// The PEM file of its key.
        client_key: At<String>,
        /// Whether certificates of endpoints are verified; `off` with `environment: dev` alone.
        #[schemars(extend("default" = "on"))]
        verify: At<OnOff>,
    }
}

words! {
    /// Whether clients are asked for certificates.
    pub(in crate::config) enum ClientAuthWord("a way to ask for certificates") {
        /// They are not.
        Off = "off",
        /// They are, and may have none.
        Optional = "optional",
        /// They are, and have to have one.
        Required = "required",
    }
}

words! {
    /// A version of TLS.
    pub(in crate::config) enum MinVersionWord("a version of TLS") {
        /// TLS 1.2
        Tls12 = "1.2",
        /// TLS 1.3
        Tls13 = "1.3",
    }
}
