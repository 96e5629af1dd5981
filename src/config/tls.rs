//! TLS as configured, kept fresh: what is made of the files is made anew when they change.

use super::watched::{Looked, Watched};
use crate::tls::{Client, ClientFiles, Server, ServerFiles};

/// TLS towards clients. Two are equal where the same files are used in the same way.
#[derive(Debug)]
pub struct ServerTls {
    /// The files, and how they are used.
    pub files: ServerFiles,
    /// What they hold now.
    pub server: Watched<Server>,
}

impl ServerTls {
    /// Reads the files for the first time.
    pub fn open(files: ServerFiles) -> Result<Self, crate::tls::TlsError> {
        let server = Watched::try_open(files.paths(), {
            let files = files.clone();
            move || files.read()
        })?;
        Ok(Self { files, server })
    }

    /// Reads the files again where they changed. Files that were written anew and hold the same are the same.
    pub fn look(&self) -> Looked {
        let before = self.server.get().clone();
        match self.server.look() {
            Looked::Fresh if self.server.get().material == before.material => {
                self.server.adopt(before);
                Looked::Same
            }
            looked => looked,
        }
    }

    /// Goes on with the sessions of an earlier configuration, if all that they were verified by is still the same; else
    /// everybody is verified anew.
    pub fn keep_sessions_of(&self, earlier: &Self) {
        let before = earlier.server.get();
        if self.files == earlier.files && self.server.get().material == before.material {
            self.server.adopt(before.clone());
        }
    }
}

impl PartialEq for ServerTls {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

impl Eq for ServerTls {}

/// TLS towards endpoints. Two are equal where the same files are used in the same way.
#[derive(Debug)]
pub struct ClientTls {
    /// The files, and how they are used.
    pub files: ClientFiles,
    /// The name that is asked for; `None`: the host of the endpoint.
    pub server_name: Option<String>,
    /// What the files hold now.
    pub client: Watched<Client>,
}

impl ClientTls {
    /// Reads the files for the first time.
    pub fn open(files: ClientFiles, server_name: Option<String>) -> Result<Self, crate::tls::TlsError> {
        let client = Watched::try_open(files.paths(), {
            let files = files.clone();
            move || files.read()
        })?;
        Ok(Self { files, server_name, client })
    }
}

impl PartialEq for ClientTls {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files && self.server_name == other.server_name
    }
}

impl Eq for ClientTls {}
